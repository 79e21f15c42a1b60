import { wrongServerName } from '#manifests/name.ts'
import { printFile, quote } from '#manifests/text.ts'
import type { ManifestFault, TreeEntry } from '../desired.ts'
import { faultOfFile } from './manifest.ts'
import { suggestion } from './nearest.ts'

/** The YAML files of a commit that say something, by what they say. */
export interface Layout {
  readonly permissions?: TreeEntry
  readonly gateway?: TreeEntry
  readonly lock?: TreeEntry
  /** By server name; only what can be read. */
  readonly servers: ReadonlyMap<string, TreeEntry>
  /** Path by server name, of every server that has a file, whatever it is like. */
  readonly named: ReadonlyMap<string, string>
  readonly faults: readonly ManifestFault[]
}

export const permissionsFile = 'manifests/permissions.yaml'
export const gatewayFile = 'manifests/gateway.yaml'
export const lockFile = 'manifests/tools.lock.yaml'
const known: readonly string[] = [permissionsFile, gatewayFile, lockFile]
const mebibyte = 1024 ** 2
/** MiB. No person writes the lock, and it grows with every tool. */
const largest = { usual: 1, lock: 8 } as const
const serverPath = /^manifests\/servers\/([^/]*)\.ya?ml$/

/** Sorts out `manifests/`: other files than YAML there are nobody's business. */
export function layOut(entries: readonly TreeEntry[]): Layout {
  const yaml = entries.filter(isOfManifests)
  const twins = collisions(yaml)
  const wrong = new Map(
    yaml.flatMap((entry) => wrongFile(entry, twins).map((message) => [entry.path, message] as const)),
  )
  const right = new Map(yaml.flatMap((entry) => (wrong.has(entry.path) ? [] : [[entry.path, entry] as const])))
  const named = new Map(yaml.flatMap(({ path }) => serverName(path).map((name) => [name, path] as const)))
  const servers = [...named].flatMap(([name, path]) => {
    const entry = right.get(path)
    return entry === undefined ? [] : [[name, entry] as const]
  })
  const permissions = right.get(permissionsFile)
  const gateway = right.get(gatewayFile)
  const lock = right.get(lockFile)
  return {
    servers: new Map(servers),
    named,
    faults: [...[...wrong].map(([path, message]) => faultOfFile(printFile(path), message)), ...missing(yaml)],
    ...(permissions && { permissions }),
    ...(gateway && { gateway }),
    ...(lock && { lock }),
  }
}

/** The folders that a path lies in, outermost first. */
export function foldersOf(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'))
}

function isOfManifests({ path, mode }: TreeEntry): boolean {
  if (!/^manifests(?:\/|$)/i.test(path)) return false
  return /\.ya?ml$/i.test(path) || !mode.startsWith('100') || path.toLowerCase() === 'manifests'
}

function serverName(path: string): readonly string[] {
  const name = serverPath.exec(path)?.[1]
  return name === undefined || wrongServerName(name) !== undefined ? [] : [name]
}

/** Each path that another one precedes which is the same to a disk that does not tell case. */
function collisions(entries: readonly TreeEntry[]): ReadonlyMap<string, string> {
  const first = new Map<string, string>()
  const twins = new Map<string, string>()
  for (const { path } of [...entries].sort((a, b) => (a.path > b.path ? -1 : 1))) {
    const twin = first.get(path.toLowerCase())
    if (twin === undefined) first.set(path.toLowerCase(), path)
    else twins.set(path, twin)
  }
  return twins
}

function wrongFile({ path, mode, size }: TreeEntry, twins: ReadonlyMap<string, string>): readonly string[] {
  const twin = twins.get(path)
  if (twin !== undefined) return [`differs from ${quote(twin)} only in case: on some disks they are one file`]
  if (mode === '160000') return ['a submodule cannot hold manifests: its files are not in this repository']
  if (mode === '120000') return ['a symlink cannot be a manifest: put the file itself here']
  const most = path === lockFile ? largest.lock : largest.usual
  return wrongName(path) ?? (size > most * mebibyte ? [`${size} bytes: at most ${most * mebibyte} (${most} MiB)`] : [])
}

function wrongName(path: string): readonly string[] | undefined {
  if (/\.yml$/i.test(path)) return [`rename it to ${quote(path.replace(/\.yml$/i, '.yaml'))}: manifests end in .yaml`]
  if (known.includes(path)) return
  const name = serverPath.exec(path)?.[1]
  if (name === undefined) return [`unknown file${suggestion(path, known)}: a server’s is manifests/servers/<name>.yaml`]
  const wrong = wrongServerName(name)
  if (wrong !== undefined) return [wrong]
}

function missing(yaml: readonly TreeEntry[]): readonly ManifestFault[] {
  if (yaml.some(({ path }) => /^manifests(?:\/permissions\.ya?ml)?$/i.test(path))) return []
  const where = yaml.length === 0 ? ': is GATEWAY_PATH the folder that holds manifests/?' : ''
  return [faultOfFile(permissionsFile, `required: the agents and what they may use ("agents: {}" for none)${where}`)]
}
