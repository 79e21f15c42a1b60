import type { z } from 'zod'
import { ServerFile } from '#manifests/server.ts'
import type { ManifestFault } from '../desired.ts'
import type { Manifest, Path } from './manifest.ts'

const kinds = ['build', 'image', 'url'] as const
/** What means something only for a server that runs here. */
const local = [
  'command',
  'stdio',
  'port',
  'path',
  'env',
  'secrets',
  'volumes',
  'mounts',
  'limits',
  'egress',
  'user',
  'tmpfs',
  'seccomp',
] as const

/** What can be judged of a server's file although some of its keys are wrong: those are as if they were not there. */
export function salvage(value: unknown): ServerFile {
  const parsed = ServerFile.safeParse(value)
  if (parsed.success) return parsed.data
  const wrong = new Set(parsed.error.issues.flatMap(topKeys))
  return ServerFile.parse(Object.fromEntries(entriesOf(value).filter(([key]) => !wrong.has(key))))
}

function topKeys(issue: z.core.$ZodIssue): readonly string[] {
  if (issue.path.length > 0) return [String(issue.path[0])]
  return issue.code === 'unrecognized_keys' ? issue.keys : []
}

function entriesOf(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

/** Faults of a server's file that no single key shows. */
export function faultsOfServer(manifest: Manifest, file: ServerFile): readonly ManifestFault[] {
  const keys = new Set(entriesOf(manifest.value).map(([key]) => key))
  return [
    ...faultsOfKind(manifest, keys),
    ...faultsOfNames(manifest, file),
    ...faultsOfTargets(manifest, file),
    ...faultsOfDockerfile(manifest, file),
  ]
}

function faultsOfKind(manifest: Manifest, keys: ReadonlySet<string>): readonly ManifestFault[] {
  const [first, ...others] = kinds.filter((kind) => keys.has(kind))
  const faults = others.map((kind) =>
    manifest.fault([kind], `"${first}" is there already: exactly one of build, image and url`, 'key'),
  )
  if (first !== 'url')
    return keys.has('auth')
      ? [...faults, manifest.fault(['auth'], 'only for a server at a url: one that runs here has "secrets"', 'key')]
      : faults
  const idle = local.filter((key) => keys.has(key))
  return [
    ...faults,
    ...idle.map((key) => manifest.fault([key], 'only for a server that runs here, and this one is at a url', 'key')),
  ]
}

function faultsOfNames(manifest: Manifest, { secrets, env }: ServerFile): readonly ManifestFault[] {
  const seen = new Set<string>()
  return secrets.flatMap(({ variable }, index) => {
    const twice = seen.has(variable)
    seen.add(variable)
    if (twice) return [manifest.fault(['secrets', index], `${variable} is in this list already`)]
    return Object.hasOwn(env, variable) ? [manifest.fault(['secrets', index], `${variable} is in "env" already`)] : []
  })
}

type Taken = { readonly path: Path; readonly target: string }

function faultsOfTargets(manifest: Manifest, { volumes, mounts, tmpfs }: ServerFile): readonly ManifestFault[] {
  const taken: readonly Taken[] = [
    ...tmpfs.map((target, index) => ({ path: ['tmpfs', index], target })),
    ...volumes.map(({ target }, index) => ({ path: ['volumes', index], target })),
    ...mounts.map(({ target }, index) => ({ path: ['mounts', index], target })),
  ]
  const first = new Map<string, Path>()
  return taken.flatMap(({ path, target }) => {
    const other = first.get(target)
    first.set(target, other ?? path)
    return other === undefined ? [] : [manifest.fault(path, `${target} is taken already, by "${other[0]}"`)]
  })
}

function faultsOfDockerfile(manifest: Manifest, { build }: ServerFile): readonly ManifestFault[] {
  if (build?.dockerfile === undefined || build.dockerfile_inline === undefined) return []
  return [manifest.fault(['build', 'dockerfile_inline'], '"dockerfile" is there already: one of the two', 'key')]
}
