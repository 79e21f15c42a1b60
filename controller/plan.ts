import type { Table } from '#manifests/table.ts'
import { grantChanges } from './admission.ts'
import type { Agent, Desired, Settings } from './desired.ts'
import { difference, isExclusive, type Machine, type Parts, type Target, target, targetKey } from './generation.ts'
import { generationKey, type ObservedGeneration, type ObservedProxy, type Sight, type Wanted } from './host.ts'

/** What a commit asks of this machine. */
export interface Aim {
  readonly commit: string
  readonly agents: Readonly<Record<string, Agent>>
  readonly targets: Readonly<Record<string, Target>>
  readonly settings: Settings
}

/** What the commit asks of this very machine. */
export function aimAt({ commit, agents, servers, settings }: Desired, machine: Machine): Aim {
  const targets = Object.values(servers).map((server) => [server.name, target(server, commit, machine)] as const)
  return { commit, agents, targets: Object.fromEntries(targets), settings }
}

/** Why a generation is not tried again: it failed for this very commit. */
export interface Failure {
  readonly spec: string
  readonly commit: string
  readonly reason: string
}

/** One look at everything that is outside: the host, the table that proxies hold, and what is remembered. */
export interface Observed {
  readonly sight: Sight
  readonly table: Table | undefined
  /** What each generation was made from, by spec. */
  readonly known: ReadonlyMap<string, Parts>
  /** By server. */
  readonly failures: ReadonlyMap<string, Failure>
}

/** Stands for the gateway where servers are named; no server may be named so. */
export const itself = 'gateway'

type RunTarget = Extract<Target, { kind: 'run' }>

export type Step =
  | { readonly do: 'revoke' | 'grant'; readonly agent: string; readonly because: string }
  | { readonly do: 'edge'; readonly change: 'create' | 'replace'; readonly because: string }
  | { readonly do: 'proxy'; readonly change: 'create' | 'replace'; readonly because: string }
  | {
      readonly do: 'roll'
      readonly server: string
      readonly order: 'create' | 'start-first' | 'stop-first'
      readonly build: boolean
      readonly target: RunTarget
      readonly because: string
    }
  | { readonly do: 'route'; readonly server: string; readonly change: 'create' | 'update'; readonly because: string }
  | {
      readonly do: 'retire'
      readonly server: string
      readonly generation: ObservedGeneration
      readonly because: string
    }
  | {
      readonly do: 'resume'
      readonly server: string
      readonly generation: ObservedGeneration
      readonly because: string
    }
  | { readonly do: 'remove'; readonly server: string; readonly because: string }
  | { readonly do: 'hold'; readonly server: string; readonly phase: 'waiting' | 'stalled'; readonly because: string }

/**
 * Desired − observed, each step with its cause. Pure; the order of the result is the order in which people read it:
 * revocations, edge, proxy, servers by name, grants.
 */
export function plan(aim: Aim, wanted: Wanted, observed: Observed): readonly Step[] {
  const grants = grantChanges(observed.table?.agents ?? {}, aim.agents)
  const servers = new Set([
    ...Object.keys(aim.targets),
    ...Object.keys(observed.table?.servers ?? {}),
    ...observed.sight.generations.map(({ server }) => server),
  ])
  return [
    ...grants
      .filter(({ kind }) => kind === 'revoke')
      .map(({ agent, because }): Step => ({ do: 'revoke', agent, because })),
    ...planGateway(aim, wanted, observed),
    ...[...servers].sort().flatMap((server) => planServer(server, aim.targets[server], observed)),
    ...grants
      .filter(({ kind }) => kind === 'grant')
      .map(({ agent, because }): Step => ({ do: 'grant', agent, because })),
  ]
}

function planGateway(aim: Aim, wanted: Wanted, { sight, failures }: Observed): Step[] {
  const { edge, proxies } = sight
  const failure = failures.get(itself)
  const serves =
    edge?.state === 'running' &&
    proxies.some(({ state, startedAt }) => state === 'running' && startedAt >= edge.startedAt)
  if (serves && failure?.spec === wanted.proxy && failure.commit === aim.commit)
    return [{ do: 'hold', server: itself, phase: 'stalled', because: failure.reason }]
  if (edge === undefined) return [step('edge', 'create', 'no edge yet'), ...planProxy(wanted, proxies, undefined)]
  if (edge.address !== wanted.address)
    return [
      step('edge', 'replace', `published address changed: ${edge.address} → ${wanted.address}`),
      step('proxy', 'replace', 'edge replaced'),
    ]
  if (edge.state !== 'running')
    return [step('edge', 'create', 'edge does not run'), step('proxy', 'replace', 'edge restarted')]
  return planProxy(wanted, proxies, edge.startedAt)
}

function planProxy(wanted: Wanted, proxies: readonly ObservedProxy[], edgeStartedAt: number | undefined): Step[] {
  const running = proxies.filter(({ state }) => state === 'running')
  const current = running.find(({ spec }) => spec === wanted.proxy)
  if (running.length === 0) return [step('proxy', 'create', proxies.length === 0 ? 'no proxy yet' : 'no proxy runs')]
  if (edgeStartedAt !== undefined && running.some(({ startedAt }) => startedAt < edgeStartedAt))
    return [step('proxy', 'replace', 'edge restarted')]
  if (current === undefined) return [step('proxy', 'replace', 'the gateway has a new version')]
  return running.length > 1 ? [step('proxy', 'replace', 'an older proxy still runs')] : []
}

function step(what: 'edge' | 'proxy', change: 'create' | 'replace', because: string): Step {
  return { do: what, change, because }
}

function planServer(server: string, target: Target | undefined, observed: Observed): Step[] {
  const generations = observed.sight.generations.filter((generation) => generation.server === server)
  if (target === undefined) return [{ do: 'remove', server, because: 'no longer in the commit' }]
  switch (target.kind) {
    case 'held':
      return [{ do: 'hold', server, phase: 'waiting', because: target.because }, ...keep(server, generations, observed)]
    case 'elsewhere':
      return [
        ...planRoute(target, observed),
        ...running(generations).map((generation) => retire(generation, 'it runs elsewhere now')),
      ]
    case 'run':
      return planRun(target, generations, observed)
    default:
      return target satisfies never
  }
}

function planRun(target: RunTarget, generations: readonly ObservedGeneration[], observed: Observed): Step[] {
  const { server, generation } = target
  const serving = observed.table?.servers[server.name]
  const current = generations.find(({ spec }) => spec === generation.spec)
  const isReached = serving?.generation === targetKey(target) && serving?.upstream !== undefined
  if (isReached && current?.state === 'running')
    return [...planRoute(target, observed), ...retireAllBut(current, generations)]
  const failure = observed.failures.get(server.name)
  if (failure?.spec === generation.spec && failure.commit === generation.origin)
    return [
      { do: 'hold', server: server.name, phase: 'stalled', because: failure.reason },
      ...keep(server.name, generations, observed),
    ]
  return [roll(target, generations, observed)]
}

/** While what the commit asks for cannot run, what served before serves on alone; where that is not known, nothing is touched. */
function keep(server: string, generations: readonly ObservedGeneration[], observed: Observed): Step[] {
  const serving = observed.table?.servers[server]
  const current = generations.find(({ spec }) => generationKey(server, spec) === serving?.generation)
  if (current === undefined) return []
  const others = retireAllBut(current, generations)
  if (current.state !== 'running')
    return [...others, { do: 'resume', server, generation: current, because: stopped(current) }]
  if (serving?.upstream !== undefined) return others
  return [...others, { do: 'resume', server, generation: current, because: 'it runs, and calls do not reach it' }]
}

function retireAllBut(current: ObservedGeneration, generations: readonly ObservedGeneration[]): Step[] {
  return running(generations)
    .filter((other) => other !== current)
    .map((other) => retire(other, 'it does not serve'))
}

function running(generations: readonly ObservedGeneration[]): readonly ObservedGeneration[] {
  return generations.filter(({ state }) => state === 'running')
}

function roll(target: RunTarget, generations: readonly ObservedGeneration[], observed: Observed): Step {
  const { server, generation } = target
  const { image } = generation
  const before = generations.filter(({ spec }) => spec !== generation.spec)
  const order = running(before).length === 0 ? 'create' : isExclusive(server) ? 'stop-first' : 'start-first'
  const build = image.kind === 'built' && !observed.sight.built.has(generationKey(server.name, image.input.hash))
  return {
    do: 'roll',
    server: server.name,
    order,
    build,
    target,
    because: cause(target, generations, before, observed),
  }
}

function cause(
  target: RunTarget,
  generations: readonly ObservedGeneration[],
  before: readonly ObservedGeneration[],
  observed: Observed,
): string {
  const serving = observed.table?.servers[target.server.name]?.generation
  const current = generations.find(({ spec }) => spec === target.generation.spec)
  if (current?.state === 'running') return 'started, but not yet ready'
  if (serving === targetKey(target)) return current === undefined ? 'it is gone from the host' : stopped(current)
  const previous = before.find(({ spec }) => generationKey(target.server.name, spec) === serving) ?? before.at(-1)
  if (previous === undefined) return ['new in the commit', ...target.server.loosens].join('; ')
  const parts = observed.known.get(previous.spec)
  const isAsBefore = JSON.stringify(parts?.settings) === JSON.stringify(target.parts.settings)
  return [difference(parts, target.parts), ...(isAsBefore ? [] : target.server.loosens)].join('; ')
}

function stopped({ state, exitCode }: ObservedGeneration): string {
  return state === 'exited' ? `it stopped with exit code ${exitCode ?? 'unknown'}` : 'it was created but never started'
}

function planRoute(target: Exclude<Target, { kind: 'held' }>, observed: Observed): Step[] {
  const { server } = target
  const now = observed.table?.servers[server.name]
  if (now === undefined) return [{ do: 'route', server: server.name, change: 'create', because: 'new in the commit' }]
  if (now.generation !== targetKey(target))
    return [{ do: 'route', server: server.name, change: 'update', because: 'its address changed' }]
  const keys = (['path', 'prefix', 'description', 'timeout', 'health'] as const).filter(
    (key) => now[key] !== server[key],
  )
  return keys.length === 0
    ? []
    : [{ do: 'route', server: server.name, change: 'update', because: `${keys.join(', ')} changed` }]
}

function retire(generation: ObservedGeneration, because: string): Step {
  return { do: 'retire', server: generation.server, generation, because }
}
