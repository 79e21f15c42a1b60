import type { Standby, Table, TableServer } from '#manifests/table.ts'
import { admit, narrow } from './admission.ts'
import type { Aim } from './aim.ts'
import type { Agent } from './desired.ts'
import { type Target, targetKey } from './generation.ts'
import { generationKey, type ObservedGeneration, type Sight } from './host.ts'
import { pinsOf } from './pins.ts'

/** What is in a table, without its revision. */
export type Draft = Omit<Table, 'revision'>

export function emptyDraft(grantsFile: string): Draft {
  return { grantsFile, agents: {}, servers: {}, starting: [], draining: [] }
}

/**
 * The table that a commit may have now, before anything is built or started: revocations whole, additions for servers that
 * already serve what the commit asks for, routes of servers whose generation stays; what the commit no longer names is gone.
 */
export function settle(before: Draft, aim: Aim): Draft {
  const servers = Object.fromEntries(
    Object.values(aim.targets).flatMap((target) => {
      const route = settledRoute(before.servers[target.server.name], target)
      return route === undefined ? [] : [[target.server.name, route] as const]
    }),
  )
  const leave = (draft: Draft, server: string) => drain(draft, server, servers[server]?.generation ?? '')
  const { draining } = Object.keys(before.servers).reduce(leave, before)
  const ready = new Set(
    Object.values(aim.targets).flatMap((target) => (isServed(servers, target) ? [target.server.name] : [])),
  )
  return { ...before, agents: admit(before.agents, aim.agents, ready), servers, draining }
}

/** The table when a commit has errors: only what its permissions take away. */
export function restrain(before: Draft, agents: Readonly<Record<string, Agent>>): Draft {
  return { ...before, agents: narrow(before.agents, agents) }
}

function settledRoute(now: TableServer | undefined, target: Target): TableServer | undefined {
  if (target.kind === 'elsewhere') return routeElsewhere(target)
  if (now === undefined || target.kind === 'held' || now.generation !== targetKey(target)) return now
  return route(target, now.upstream)
}

function isServed(servers: Readonly<Record<string, TableServer>>, target: Target): boolean {
  const now = servers[target.server.name]
  return now !== undefined && now.generation === targetKey(target)
}

function route(target: Exclude<Target, { kind: 'held' }>, upstream: string | undefined): TableServer {
  const { server } = target
  return {
    generation: targetKey(target) ?? '',
    ...(upstream === undefined ? {} : { upstream }),
    path: server.path,
    prefix: server.prefix,
    description: server.description,
    timeout: server.timeout,
    ...(server.health === undefined ? {} : { health: server.health }),
    ...pinsOf(server),
    ...(server.budgets === undefined ? {} : { budgets: server.budgets }),
  }
}

function routeElsewhere(target: Extract<Target, { kind: 'elsewhere' }>): TableServer {
  const { origin, pathname, search } = new URL(target.url)
  const { credential } = target
  return { ...route(target, origin), path: `${pathname}${search}`, ...(credential && { credential }) }
}

/**
 * A controller that lost its state finds servers that run: the oldest of each serves on, since nothing tells which one did,
 * and a newer one has yet to show that it can. Nothing tells who was granted it either: who is now must not wait for the newer.
 */
export function adopt(draft: Draft, aim: Aim, sight: Sight): Draft {
  const servers = { ...draft.servers }
  for (const target of Object.values(aim.targets)) {
    if (target.kind !== 'run' || servers[target.server.name] !== undefined) continue
    const [oldest] = running(sight, target.server.name)
    if (oldest === undefined) continue
    const generation = generationKey(oldest.server, oldest.spec)
    servers[target.server.name] = { ...route(target, oldest.upstream), generation }
  }
  return { ...draft, servers, agents: admit(draft.agents, aim.agents, new Set(Object.keys(servers))) }
}

function running(sight: Sight, server: string): ObservedGeneration[] {
  return sight.generations
    .filter((generation) => generation.server === server && generation.state === 'running')
    .toSorted((a, b) => a.startedAt - b.startedAt)
}

/** Asks the proxies to probe a generation that does not serve yet, or not again. */
export function withStarting(draft: Draft, target: Extract<Target, { kind: 'run' }>, upstream: string): Draft {
  return withStandby(draft, standbyOf(target.server.name, route(target, upstream), upstream))
}

/** Asks the proxies to probe the generation that served and is to serve again. */
export function withReturning(draft: Draft, server: string, upstream: string): Draft {
  const now = draft.servers[server]
  return now === undefined ? draft : withStandby(draft, standbyOf(server, now, upstream))
}

function withStandby(draft: Draft, standby: Standby): Draft {
  const draining = without(draft.draining, standby.generation)
  return { ...draft, draining, starting: [...without(draft.starting, standby.generation), standby] }
}

/** Cuts over: the generation serves, and what served before only finishes what it has. */
export function withServing(draft: Draft, target: Extract<Target, { kind: 'run' }>, upstream: string): Draft {
  const { server } = target
  const serving = route(target, upstream)
  const drained = drain(draft, server.name, serving.generation)
  return {
    ...drained,
    starting: without(drained.starting, serving.generation),
    draining: without(drained.draining, serving.generation),
    servers: { ...drained.servers, [server.name]: serving },
  }
}

/** Switches back to what served before, and is still there. */
export function withPrevious(draft: Draft, previous: Standby): Draft {
  const now = draft.servers[previous.server]
  if (now === undefined) return draft
  const { generation, upstream, path, health, pins } = previous
  const { health: _, pins: __, ...rest } = now
  const own = { ...(health === undefined ? {} : { health }), ...(pins === undefined ? {} : { pins }) }
  const serving = { ...rest, generation, upstream, path, ...own }
  const drained = drain(draft, previous.server, generation)
  const draining = without(drained.draining, generation)
  return { ...drained, draining, servers: { ...drained.servers, [previous.server]: serving } }
}

/** Stops new calls from reaching a server, which stays known: they wait for its next generation. */
export function withoutUpstream(draft: Draft, server: string): Draft {
  const now = draft.servers[server]
  if (now === undefined) return draft
  const { upstream: _, ...waiting } = now
  return { ...drain(draft, server, ''), servers: { ...draft.servers, [server]: waiting } }
}

/** The generation that is known to serve can be reached again. */
export function withUpstream(draft: Draft, server: string, upstream: string): Draft {
  const now = draft.servers[server]
  if (now === undefined) return draft
  const starting = without(draft.starting, now.generation)
  const draining = without(draft.draining, now.generation)
  return { ...draft, starting, draining, servers: { ...draft.servers, [server]: { ...now, upstream } } }
}

function drain(draft: Draft, server: string, next: string): Draft {
  const now = draft.servers[server]
  if (now?.upstream === undefined || now.generation === next) return draft
  return { ...draft, draining: [...without(draft.draining, now.generation), standbyOf(server, now, now.upstream)] }
}

function standbyOf(server: string, now: TableServer, upstream: string): Standby {
  const { generation, path, health, pins, credential } = now
  const own = { ...(health && { health }), ...(pins && { pins }), ...(credential && { credential }) }
  return { generation, server, upstream, path, ...own }
}

/** Lets go of a generation that no longer starts or drains. */
export function forgetGeneration(draft: Draft, generation: string): Draft {
  return {
    ...draft,
    starting: without(draft.starting, generation),
    draining: without(draft.draining, generation),
  }
}

/** Lets go of what is listed and no longer there: what starts without a rollout, what drains and has ended. */
export function tidy(draft: Draft, sight: Sight, isRolling: (server: string) => boolean): Draft {
  const runs = new Set(
    sight.generations.flatMap(({ server, spec, state }) => (state === 'running' ? [generationKey(server, spec)] : [])),
  )
  return {
    ...draft,
    starting: draft.starting.filter(({ server }) => isRolling(server)),
    draining: draft.draining.filter(({ generation }) => runs.has(generation)),
  }
}

/** Upstreams of what runs may have changed since the table was written (a process host gives new ports). */
export function followUpstreams(draft: Draft, sight: Sight): Draft {
  const upstreams = new Map(
    sight.generations.map(({ server, spec, upstream }) => [generationKey(server, spec), upstream]),
  )
  const follow = <T extends { readonly generation: string; readonly upstream?: string }>(entry: T): T => {
    const upstream = upstreams.get(entry.generation)
    return upstream === undefined || entry.upstream === undefined ? entry : { ...entry, upstream }
  }
  return {
    ...draft,
    servers: Object.fromEntries(Object.entries(draft.servers).map(([name, server]) => [name, follow(server)])),
    draining: draft.draining.map(follow),
  }
}

function without(standbys: readonly Standby[], generation: string): Standby[] {
  return standbys.filter((standby) => standby.generation !== generation)
}
