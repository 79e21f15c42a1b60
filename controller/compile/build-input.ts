import type { BuildSpec } from '#manifests/build.ts'
import type { BuildInput, ManifestFault, Tree, TreeEntry } from '../desired.ts'
import { mostComplaints } from './check.ts'
import { contentHash } from './content-hash.ts'
import { faultsOfContext } from './context-faults.ts'
import { BadPattern, readDockerignore } from './dockerignore.ts'
import { foldersOf } from './layout.ts'
import { faultOfFile, type Path } from './manifest.ts'
import { suggestion } from './nearest.ts'
import { readBlob } from './read-ahead.ts'
import type { ReadOptions } from './yaml.ts'

export interface BuildQuestion {
  readonly spec: BuildSpec
  /** Folder of the tree that is the context, `` for the root. */
  readonly context: string
  /** All of the tree. */
  readonly entries: readonly TreeEntry[]
  /** Says where in the manifest a key of `build` is at fault. */
  readonly blame: (key: keyof BuildSpec, message: string) => ManifestFault
}

export type BuildAnswer =
  | { readonly ok: true; readonly input: BuildInput }
  | { readonly ok: false; readonly faults: readonly ManifestFault[] }

/** Of a file with a `build`: arguments are as they are written, and `${…}` in a Dockerfile is for Docker. */
export const readingBuild = {
  verbatim: (path: Path) => path.at(-3) === 'build' && path.at(-2) === 'args',
  dollars: (path: Path) => path.at(-2) === 'build' && path.at(-1) === 'dockerfile_inline',
} satisfies ReadOptions

/** What an image is built from, out of a tree; reads only the ignore file, symlinks, and what may be an LFS pointer. */
export async function readBuildInput(tree: Tree, question: BuildQuestion, signal?: AbortSignal): Promise<BuildAnswer> {
  const { spec, context, entries, blame } = question
  const below = context === '' ? entries : within(entries, context)
  if (below.length === 0) return refuse(blame('context', noContext(context, entries)))
  const dockerfile = spec.dockerfile ?? 'Dockerfile'
  const missing = missingFiles(question, below, dockerfile)
  if (missing.length > 0) return { ok: false, faults: missing }
  const named = below.filter(({ path }) => isNamed(path, spec.paths))
  const ignored = await readIgnored(tree, { below, named, dockerfile, context }, signal)
  if ('message' in ignored) return refuse(ignored)
  const left = new Set(named.map(({ path }) => path)).difference(ignored)
  const sent = (path: string) => isAlwaysSent(path, spec, dockerfile) || left.has(path)
  const files = below.filter(({ path }) => sent(path)).sort((a, b) => (a.path < b.path ? -1 : 1))
  const faults = await faultsOfContext(tree, { files, context, blame: (message) => blame('context', message) }, signal)
  return faults.length > 0 ? { ok: false, faults } : { ok: true, input: createInput(question, files, dockerfile) }
}

function refuse(fault: ManifestFault): BuildAnswer {
  return { ok: false, faults: [fault] }
}

function within(entries: readonly TreeEntry[], folder: string): readonly TreeEntry[] {
  const start = `${folder}/`
  return entries
    .filter(({ path }) => path.startsWith(start))
    .map((entry) => ({ ...entry, path: entry.path.slice(start.length) }))
}

function noContext(context: string, entries: readonly TreeEntry[]): string {
  const itself = entries.find(({ path }) => path === context)
  if (itself?.mode === '120000') return `the build context "${context}" is a symlink: name the folder itself`
  if (itself?.mode === '160000')
    return `the build context "${context}" is a submodule: its files are not in this repository`
  if (itself !== undefined) return `the build context "${context}" is a file: name its folder`
  return `no folder "${context}" in this commit to build from${suggestion(context, folders(entries))}`
}

function folders(entries: readonly TreeEntry[]): ReadonlySet<string> {
  return new Set(entries.flatMap(({ path }) => foldersOf(path)))
}

function missingFiles({ spec, context, blame }: BuildQuestion, below: readonly TreeEntry[], dockerfile: string) {
  const paths = new Set(below.map(({ path }) => path))
  const all = new Set([...paths, ...folders(below)])
  const place = context === '' ? '' : ` in "${context}"`
  const faults = spec.paths
    .filter((path) => path !== '' && !all.has(path))
    .slice(0, mostComplaints)
    .map((path) => blame('paths', `no "${path}"${place} in this commit${suggestion(path, all)}`))
  if (spec.dockerfile_inline !== undefined || paths.has(dockerfile)) return faults
  return [...faults, blame('dockerfile', `no "${dockerfile}"${place} in this commit${suggestion(dockerfile, paths)}`)]
}

interface IgnorePlace {
  readonly below: readonly TreeEntry[]
  /** What would be sent. */
  readonly named: readonly TreeEntry[]
  readonly dockerfile: string
  readonly context: string
}

/** As BuildKit does: `<Dockerfile>.dockerignore` comes before the context's `.dockerignore`. */
async function readIgnored(
  tree: Tree,
  place: IgnorePlace,
  signal?: AbortSignal,
): Promise<ReadonlySet<string> | ManifestFault> {
  const { below, named, dockerfile, context } = place
  const names = [`${dockerfile}.dockerignore`, '.dockerignore']
  const entry = names.flatMap(
    (name) => below.find(({ path, mode }) => path === name && mode.startsWith('100')) ?? [],
  )[0]
  if (entry === undefined) return new Set()
  const file = context === '' ? entry.path : `${context}/${entry.path}`
  const fault = (line: number, message: string) => ({ ...faultOfFile(file, message), line })
  if (entry.size > 64 * 1024) return fault(1, `${entry.size} bytes of patterns: at most 65536`)
  const text = (await readBlob(tree, entry, signal)).toString('utf8')
  try {
    return new Set(named.map(({ path }) => path).filter(readDockerignore(text)))
  } catch (error) {
    if (error instanceof BadPattern) return fault(error.line, error.message)
    throw error
  }
}

function isNamed(path: string, names: readonly string[]): boolean {
  return names.length === 0 || names.some((name) => name === '' || path === name || path.startsWith(`${name}/`))
}

function isAlwaysSent(path: string, spec: BuildSpec, dockerfile: string): boolean {
  if (path === dockerfile) return spec.dockerfile_inline === undefined
  return path === '.dockerignore' && isNamed(path, spec.paths)
}

function createInput({ spec, context }: BuildQuestion, files: readonly TreeEntry[], path: string): BuildInput {
  const dockerfile = spec.dockerfile_inline === undefined ? { path } : { inline: spec.dockerfile_inline }
  const rest = { dockerfile, args: spec.args, ...(spec.target === undefined ? {} : { target: spec.target }) }
  const lines = files.map((file) => `${file.mode} ${file.path} ${file.oid}`)
  return { hash: contentHash('build', { ...rest, files: lines }), context, paths: spec.paths, files, ...rest }
}
