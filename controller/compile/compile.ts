import { ServerFile } from '#manifests/server.ts'
import { type Compiled, describeFault, type ManifestFault, type Server, type Tree, type TreeEntry } from '../desired.ts'
import { compileServerFile, type ServerOutcome } from './compile-file.ts'
import { type CompiledGateway, compileGateway, usualSettings } from './gateway.ts'
import { gatewayFile, type Layout, layOut, lockFile, permissionsFile } from './layout.ts'
import { type CompiledLock, compileLock, readLock } from './lock.ts'
import { join, type Path } from './manifest.ts'
import { type CompiledPermissions, compilePermissions, readingPermissions } from './permissions.ts'
import { readAhead, readBlob } from './read-ahead.ts'
import { createOutside, isLoopback } from './server.ts'
import { readYaml } from './yaml.ts'

const mostFaultsOfFile = 50

/**
 * A commit, or a folder, to what it says should be so, or to all its faults, sorted by file and line. Reads through the
 * tree alone: no network, no clock, no environment. Rejects only where the tree cannot be read, or the signal says so.
 */
export async function compile(given: Tree, signal?: AbortSignal): Promise<Compiled> {
  const entries = await given.list()
  const tree = await readAhead(given, entries, signal)
  const layout = layOut(entries)
  const permissions = await readPermissions(tree, layout, signal)
  const outcomes: ServerOutcome[] = []
  for (const [name, entry] of layout.servers) {
    signal?.throwIfAborted()
    outcomes.push(
      await compileServerFile({ tree, entries, name, entry, body: await readBlob(tree, entry, signal) }, signal),
    )
  }
  const gateway = await readGateway(tree, { entries, layout }, signal)
  const lock = await compileTools(tree, { layout, prefixes: allPrefixes(outcomes, permissions) }, signal)
  const faults = [
    ...layout.faults,
    ...permissions.faults,
    ...outcomes.flatMap((outcome) => outcome.faults),
    ...gateway.faults,
    ...lock.faults,
    ...faultsOfPrefixes(outcomes, permissions),
    ...faultsOfVolumes(outcomes),
  ]
  const agents = permissions.access?.agents
  if (faults.length > 0 || agents === undefined) return { ok: false, faults: sorted(faults), ...(agents && { agents }) }
  return {
    ok: true,
    desired: {
      commit: tree.commit,
      agents,
      servers: allServers(outcomes, permissions, lock),
      settings: gateway.settings ?? usualSettings,
      warnings: [...warnings(outcomes, permissions), ...unlocked(outcomes, lock)],
    },
  }
}

async function readGateway(
  tree: Tree,
  { entries, layout: { gateway } }: { entries: readonly TreeEntry[]; layout: Layout },
  signal?: AbortSignal,
): Promise<CompiledGateway> {
  if (gateway === undefined) return { faults: [] }
  const body = await readBlob(tree, gateway, signal)
  return compileGateway({ tree, entries, file: gatewayFile, body }, signal)
}

async function compileTools(
  tree: Tree,
  { layout: { lock }, prefixes }: { readonly layout: Layout; readonly prefixes: ReadonlyMap<string, string> },
  signal?: AbortSignal,
): Promise<CompiledLock> {
  if (lock === undefined) return { locked: new Map(), faults: [] }
  return compileLock(readLock(lockFile, await readBlob(tree, lock, signal)), prefixes)
}

function allPrefixes(
  outcomes: readonly ServerOutcome[],
  permissions: CompiledPermissions,
): ReadonlyMap<string, string> {
  const known = [...permissions.known].map((name) => ({ name, prefix: name }))
  return new Map([...known, ...outcomes, ...outsideServers(permissions)].map(({ name, prefix }) => [name, prefix]))
}

type ReadPermissions = CompiledPermissions & { readonly warn: (path: Path, message: string) => string }

/** The permissions of a commit, and the servers that it has. */
export async function readPermissions(tree: Tree, layout: Layout, signal?: AbortSignal): Promise<ReadPermissions> {
  const known = new Set(layout.named.keys())
  const nothing = { known, warn: (_: Path, message: string) => message }
  if (layout.permissions === undefined) return { ...nothing, faults: [] }
  const body = await readBlob(tree, layout.permissions, signal)
  const { manifest, faults } = readYaml(permissionsFile, body, readingPermissions)
  if (manifest === undefined) return { ...nothing, faults }
  const compiled = compilePermissions(manifest, layout.named)
  const warn = (path: Path, message: string) => describeFault(manifest.fault(path, message))
  if (faults.length === 0) return { ...compiled, warn }
  return { known: compiled.known, faults: join(faults, compiled.faults), warn }
}

function outsideServers({ access }: CompiledPermissions): readonly Server[] {
  const usual = ServerFile.parse({})
  return Object.entries(access?.outside ?? {}).map(([name, server]) => createOutside(name, server, usual))
}

function allServers(
  outcomes: readonly ServerOutcome[],
  permissions: CompiledPermissions,
  { locked }: CompiledLock,
): Readonly<Record<string, Server>> {
  const all = [...outcomes.flatMap(({ server }) => server ?? []), ...outsideServers(permissions)].map((server) => {
    const tools = locked.get(server.name)
    return tools === undefined ? server : { ...server, lock: { mode: server.lock?.mode ?? 'warn', tools } }
  })
  return Object.fromEntries(all.sort((a, b) => (a.name < b.name ? -1 : 1)).map((server) => [server.name, server]))
}

/** Names without a prefix of their own never meet, so one of each pair has a `prefix` key to point at. */
function faultsOfPrefixes(
  outcomes: readonly ServerOutcome[],
  permissions: CompiledPermissions,
): readonly ManifestFault[] {
  const owners = new Map<string, string>()
  const claim = (prefix: string, name: string) => owners.set(prefix, owners.get(prefix) ?? name)
  for (const { name, prefix } of outsideServers(permissions)) claim(prefix, name)
  for (const { name, prefix, explicit } of outcomes) if (!explicit) claim(prefix, name)
  return outcomes.flatMap(({ name, prefix, explicit, fault }) => {
    if (!explicit) return []
    const owner = owners.get(prefix)
    claim(prefix, name)
    if (owner === undefined) return []
    const message =
      prefix === ''
        ? `server "${owner}" has no prefix already: one at most`
        : `server "${owner}" has this prefix already`
    return [fault(['prefix'], message)]
  })
}

/** The engine names a volume `<server>-<name>`: two servers must not come to the same one by different ways. */
function faultsOfVolumes(outcomes: readonly ServerOutcome[]): readonly ManifestFault[] {
  const owners = new Map<string, string>()
  const all = outcomes.flatMap(({ name, server, fault }) =>
    (server?.volumes ?? []).map(({ source }, index) => ({ name, source, index, fault })),
  )
  return all.flatMap(({ name, source, index, fault }) => {
    const owner = owners.get(`${name}-${source}`) ?? name
    owners.set(`${name}-${source}`, owner)
    if (owner === name) return []
    return [
      fault(
        ['volumes', index],
        `a volume of server "${owner}" has the same full name, "${name}-${source}": rename one`,
      ),
    ]
  })
}

function warnings(outcomes: readonly ServerOutcome[], { access, warn }: ReadPermissions): readonly string[] {
  const message = 'leads back to the machine or container that asks: the machine itself is host.docker.internal'
  const outside = Object.entries(access?.outside ?? {}).filter(([, { url }]) => isLoopback(url))
  const own = outcomes.filter(({ server }) => server?.runs.kind === 'url' && isLoopback(server.runs.url))
  return [
    ...outside.map(([name]) => warn(['servers', name, 'url'], message)),
    ...own.map(({ fault }) => describeFault(fault(['url'], message))),
  ]
}

/** What is to hold or block tools that nobody has reviewed keeps all of them from agents. */
function unlocked(outcomes: readonly ServerOutcome[], { locked }: CompiledLock): readonly string[] {
  const bare = outcomes.filter(({ name, server }) => server?.lock !== undefined && !locked.has(name))
  return bare.map(({ name, fault }) => {
    const why = `no tool of ${name} is in ${lockFile}, so agents get none`
    return describeFault(fault(['tools'], `${why}: once it runs, "gateway lock ${name}" writes them there`))
  })
}

function sorted(faults: readonly ManifestFault[]): readonly ManifestFault[] {
  const order = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0)
  const all = [...faults].sort(
    (a, b) =>
      order(a.file, b.file) ||
      a.line - b.line ||
      a.column - b.column ||
      order(a.at, b.at) ||
      order(a.message, b.message),
  )
  const byFile = Map.groupBy(all, ({ file }) => file)
  return [...byFile.values()].flatMap((ofFile) => capped(ofFile))
}

/** A file can hold a million faults; nobody reads them. */
function capped(faults: readonly ManifestFault[]): readonly ManifestFault[] {
  const last = faults[mostFaultsOfFile]
  if (last === undefined) return faults
  const message = `more than ${mostFaultsOfFile} faults in this file: the others are not told`
  return [...faults.slice(0, mostFaultsOfFile), { ...last, at: '', message }]
}
