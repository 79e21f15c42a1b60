import { BuildSpec } from '#manifests/build.ts'
import { ServerFile } from '#manifests/server.ts'
import type { ManifestFault, Server, Tree, TreeEntry } from '../desired.ts'
import { readBuildInput, readingBuild } from './build-input.ts'
import { check } from './check.ts'
import { faultOfFile, join, type Manifest, type Path } from './manifest.ts'
import { createServer, defaultPrefix } from './server.ts'
import { faultsOfServer, salvage } from './server-faults.ts'
import { type ReadOptions, readYaml } from './yaml.ts'

/** What became of a server's file. */
export interface ServerOutcome {
  readonly name: string
  /** Absent if the file has any fault. */
  readonly server?: Server
  readonly prefix: string
  /** Whether the file says the prefix itself. */
  readonly explicit: boolean
  readonly fault: Manifest['fault']
  readonly faults: readonly ManifestFault[]
}

export interface ServerSource {
  readonly tree: Tree
  readonly entries: readonly TreeEntry[]
  readonly name: string
  readonly entry: TreeEntry
  readonly body: Buffer
}

const options: ReadOptions = {
  ...readingBuild,
  verbatim: (path) => (path[0] === 'env' && path.length === 2) || readingBuild.verbatim(path),
}

/** `manifests/servers/<name>.yaml`, with its build input read from the tree. */
export async function compileServerFile(source: ServerSource, signal?: AbortSignal): Promise<ServerOutcome> {
  const { name, entry, body } = source
  const { manifest, faults } = readYaml(entry.path, body, options)
  if (manifest === undefined) {
    const fault = (_: Path, message: string) => faultOfFile(entry.path, message)
    return { name, prefix: defaultPrefix(name), explicit: false, fault, faults }
  }
  const checked = check(manifest, ServerFile)
  const file = salvage(manifest.value)
  const { runs, faults: absent } = await whatRuns(source, manifest, file, signal)
  const all = join(faults, [...checked.faults, ...faultsOfServer(manifest, file), ...absent])
  const server = all.length > 0 || runs === undefined ? undefined : createServer(name, file, runs)
  const prefix = file.prefix ?? defaultPrefix(name)
  return {
    name,
    prefix,
    explicit: file.prefix !== undefined,
    fault: manifest.fault,
    faults: all,
    ...(server && { server }),
  }
}

type Runs = { readonly runs?: Server['runs']; readonly faults: readonly ManifestFault[] }

async function whatRuns(
  source: ServerSource,
  manifest: Manifest,
  file: ServerFile,
  signal?: AbortSignal,
): Promise<Runs> {
  const { value } = manifest
  const isWrong = (key: 'build' | 'image' | 'url') => file[key] === undefined && hasKey(value, key)
  if (isWrong('build') || isWrong('image') || isWrong('url')) return { faults: [] }
  if (file.image !== undefined) return { runs: { kind: 'image', ref: file.image }, faults: [] }
  if (file.url !== undefined) return { runs: { kind: 'url', url: file.url }, faults: [] }
  const spec = file.build ?? BuildSpec.parse({})
  const context = spec.context ?? `servers/${source.name}`
  const blame = (key: string, message: string) => manifest.fault(placeOfBuild(value, key), message)
  const answer = await readBuildInput(source.tree, { spec, context, entries: source.entries, blame }, signal)
  return answer.ok ? { runs: { kind: 'build', input: answer.input }, faults: [] } : { faults: answer.faults }
}

/** Where a key of `build` stands; `build` itself where that is only a folder, the whole file where there is none. */
function placeOfBuild(value: unknown, key: string): Path {
  const build = hasKey(value, 'build') ? value.build : undefined
  if (build === undefined) return []
  return hasKey(build, key) ? ['build', key] : ['build']
}

function hasKey<K extends string>(value: unknown, key: K): value is Readonly<Record<K, unknown>> {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
}
