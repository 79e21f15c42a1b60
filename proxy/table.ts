import type { PackedTable } from '#manifests/packed-table.ts'
import type { Credential, Grant, Pins, TableServer } from '#manifests/table.ts'
import { indexPins, type PinIndex } from './pinning.ts'

/** One generation of a server, as a proxy reaches it. */
export interface Target {
  readonly server: string
  /** `<server>@<hash>`. */
  readonly generation: string
  readonly role: 'serving' | 'starting' | 'draining'
  /** How often it is asked whether it answers: what has to start again is, as if it had never served. */
  readonly asked: 'often' | 'seldom' | 'never'
  /** `http://host:port`. */
  readonly origin: string
  readonly path: string
  readonly health: string | undefined
  /** Longest time of one call without progress, ms. */
  readonly timeout: number
  /** Absent where no tool of it is pinned. */
  readonly pins?: PinIndex
  /** What it wants to see with every request. */
  readonly credential: Credential | undefined
}

export interface Agent {
  /** The last day that its tokens are valid, UTC, `YYYY-MM-DD`. */
  readonly expires: string | undefined
  /** By server that exists. Agents who may use the same have one in common. */
  readonly grants: Grants
}

type Grants = ReadonlyMap<string, Grant>

/** A table, by what is asked of it. Replaced whole, never edited; a request sees one. */
export interface Snapshot {
  readonly revision: number
  /** Where grants are written, in words for a refusal. */
  readonly grantsFile: string
  readonly agents: ReadonlyMap<string, Agent>
  readonly servers: ReadonlyMap<string, TableServer>
  /** Agent's name by SHA-256 of a token. */
  readonly holders: ReadonlyMap<string, string>
  /** By generation. One that serves and also drains or starts is one that serves. */
  readonly targets: ReadonlyMap<string, Target>
}

const standbyTimeout = 60_000

export function indexTable(table: PackedTable): Snapshot {
  const { revision, grantsFile } = table
  const servers = new Map(Object.entries(table.servers))
  return {
    revision,
    grantsFile,
    servers,
    ...indexAgents(table, servers),
    targets: new Map([
      ...standbys(table, servers, 'starting'),
      ...standbys(table, servers, 'draining'),
      ...servingTargets(table),
    ]),
  }
}

function indexAgents(table: PackedTable, existing: ReadonlyMap<string, unknown>): Pick<Snapshot, 'agents' | 'holders'> {
  const grants = table.access.map((parts): Grants => {
    const pairs = parts.flatMap(({ servers, grant }) =>
      servers.filter((server) => existing.has(server)).map((server) => [server, grant] as const),
    )
    return new Map(pairs)
  })
  const agents = new Map<string, Agent>()
  const holders = new Map<string, string>()
  for (const { name, hashes, expires, access } of table.agents) {
    agents.set(name, { expires, grants: grants[access] ?? none })
    for (const hash of hashes) holders.set(hash, name)
  }
  return { agents, holders }
}

const none: Grants = new Map()

type Entry = readonly [string, Target]

function standbys(
  table: PackedTable,
  servers: ReadonlyMap<string, TableServer>,
  role: 'starting' | 'draining',
): readonly Entry[] {
  return table[role].map(({ generation, server, upstream, path, health, pins, credential }) => {
    const timeout = servers.get(server)?.timeout ?? standbyTimeout
    const asked = role === 'starting' ? 'often' : 'never'
    const target: Target = { server, generation, role, asked, origin: upstream, path, health, timeout, credential }
    return [generation, { ...target, ...pinned(pins) }]
  })
}

function servingTargets(table: PackedTable): readonly Entry[] {
  const starting = new Set(table.starting.map(({ generation }) => generation))
  return Object.entries(table.servers).flatMap(([server, serving]) => {
    const { generation, upstream, path, health, timeout, pins, credential } = serving
    if (upstream === undefined) return []
    const asked = starting.has(generation) ? 'often' : 'seldom'
    const role = 'serving'
    const target: Target = { server, generation, role, asked, origin: upstream, path, health, timeout, credential }
    return [[generation, { ...target, ...pinned(pins) }]]
  })
}

/** A snapshot in which one agent sees one server, without a prefix. */
export function narrow(snapshot: Snapshot, agent: string, server: string): Snapshot {
  const known = snapshot.agents.get(agent)
  const one = snapshot.servers.get(server)
  const grant = grantOf(snapshot, agent, server)
  return {
    ...snapshot,
    agents: new Map(known && grant && [[agent, { ...known, grants: new Map([[server, grant]]) }]]),
    servers: new Map(one && [[server, { ...one, prefix: '' }]]),
  }
}

function pinned(pins: Pins | undefined): { readonly pins?: PinIndex } {
  return pins === undefined ? {} : { pins: indexPins(pins) }
}

/** The generation of a server that serves now; undefined while it is replaced, or if there is no such server. */
export function servingTarget(snapshot: Snapshot, server: string): Target | undefined {
  const generation = snapshot.servers.get(server)?.generation
  const target = generation === undefined ? undefined : snapshot.targets.get(generation)
  return target?.role === 'serving' ? target : undefined
}

/** What an agent may use of a server that exists; undefined alike for one that does not and one that it may not use. */
export function grantOf(snapshot: Snapshot, agent: string, server: string): Grant | undefined {
  return snapshot.agents.get(agent)?.grants.get(server)
}

/** The servers that an agent may use, by name: the order of everything that joins them. */
export function grantedServers(snapshot: Snapshot, agent: string): readonly string[] {
  const { grants } = snapshot.agents.get(agent) ?? { grants: none }
  const servers = granted.get(grants) ?? [...grants.keys()].sort()
  granted.set(grants, servers)
  return servers
}

/** A server beside what begins its names on the joint endpoint. */
export interface Place {
  readonly server: string
  readonly prefix: string
}

/** The servers that an agent may use, in the order in which one is taken where something could be of several. */
export function placesOf(snapshot: Snapshot, agent: string): readonly Place[] {
  const { grants } = snapshot.agents.get(agent) ?? { grants: none }
  const known = places.get(grants)
  if (known !== undefined) return known
  const made = inOrder(snapshot, grantedServers(snapshot, agent)).map((server) => {
    return { server, prefix: snapshot.servers.get(server)?.prefix ?? '' }
  })
  places.set(grants, made)
  return made
}

/** Every joint call asks. */
const granted = new WeakMap<Grants, readonly string[]>()
const places = new WeakMap<Grants, readonly Place[]>()

/** Who sees the servers that an agent may use, or the one of them that it is about. */
export interface Onlooker {
  readonly agent: string
  readonly only?: string | undefined
}

/** The servers that somebody sees, by name. */
export function seenBy(snapshot: Snapshot, { agent, only }: Onlooker): readonly string[] {
  return grantedServers(snapshot, agent).filter((server) => only === undefined || server === only)
}

/** Servers, by name, in the order in which one is taken where something could be of several: the longest prefix first. */
export function inOrder({ servers }: Snapshot, names: readonly string[]): readonly string[] {
  const length = (server: string) => servers.get(server)?.prefix.length ?? 0
  return names.toSorted((a, b) => length(b) - length(a))
}

/** Whether the last day of an agent's tokens (UTC) is over. */
export function expired(agent: Agent, now: number): boolean {
  return agent.expires !== undefined && new Date(now).toISOString().slice(0, 10) > agent.expires
}

/** Whether a token that was good still is. */
export function holds(snapshot: Snapshot, hash: string, now: number): boolean {
  const agent = snapshot.agents.get(snapshot.holders.get(hash) ?? '')
  return agent !== undefined && !expired(agent, now)
}
