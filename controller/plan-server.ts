import type { TableServer } from '#manifests/table.ts'
import type { Aim } from './aim.ts'
import { driftOf } from './drift.ts'
import { difference, isExclusive, type Target, targetKey } from './generation.ts'
import { generationKey, type ObservedGeneration } from './host.ts'
import { healLimit, loopOf, retryAt } from './patience.ts'
import { pinChanges } from './pins.ts'
import { span } from './span.ts'
import type { Observed, RunTarget, Step } from './step.ts'

interface Place {
  readonly server: string
  readonly aim: Aim
  readonly observed: Observed
  /** Of this server. */
  readonly generations: readonly ObservedGeneration[]
}

/** What is to be done to one server. Pure. */
export function planServer(server: string, aim: Aim, observed: Observed): Step[] {
  const generations = observed.sight.generations.filter((generation) => generation.server === server)
  const place = { server, aim, observed, generations }
  const suspension = aim.suspended?.get(server)
  if (suspension !== undefined) return [{ do: 'hold', server, phase: 'suspended', because: suspension }]
  const target = aim.targets[server]
  if (target === undefined) return planRemoval(place)
  switch (target.kind) {
    case 'held':
      return [{ do: 'hold', server, phase: 'waiting', because: target.because }, ...keep(place)]
    case 'elsewhere':
      return [
        ...planRoute(target, observed),
        ...running(generations).map((generation) => retire(generation, 'it runs elsewhere now')),
      ]
    case 'run':
      return planRun(target, place)
    default:
      return target satisfies never
  }
}

/** Stopped now, gone for good once nobody has asked for it again for a while. */
function planRemoval({ server, aim, observed, generations }: Place): Step[] {
  const { grace } = aim.settings.prune
  if (running(generations).length > 0)
    return [{ do: 'remove', server, change: 'stop', because: `no longer in the commit${keptFor(grace)}` }]
  const last = Math.max(0, ...generations.map(({ endedAt = 0 }) => endedAt))
  if (generations.length > 0 && observed.now < last + grace) return []
  const isListed = observed.table?.servers[server] !== undefined
  return isListed || generations.length > 0 || observed.sight.left?.has(server) === true
    ? [{ do: 'remove', server, change: 'forget', because: 'no longer in the commit' }]
    : []
}

function keptFor(grace: number): string {
  return grace === 0 ? '' : `; kept, stopped, for ${span(grace)}`
}

function planRun(target: RunTarget, place: Place): Step[] {
  const { server, generation } = target
  const { observed, generations } = place
  const serving = observed.table?.servers[server.name]
  const current = generations.find(({ spec }) => spec === generation.spec)
  const isServing = serving?.generation === targetKey(target)
  const halt = haltOf(target, place, isServing)
  if (halt !== undefined) return [halt]
  if (isServing && serving?.upstream !== undefined && current?.state === 'running')
    return [
      ...planMend(current, target, observed),
      ...planRoute(target, observed),
      ...retireOthers(current, target, place),
    ]
  const failure = observed.failures.get(server.name)
  if (failure?.spec !== generation.spec || failure.commit !== generation.origin) return [roll(target, place)]
  const again = retryAt(failure)
  if (again !== undefined && again <= observed.now) return [roll(target, place)]
  const hold = { do: 'hold', server: server.name, phase: 'stalled', because: failure.reason } as const
  return isServing ? [hold] : [hold, ...keep(place)]
}

/** What somebody changes again and again is theirs: it serves, and is left as it is for a while. */
function planMend(current: ObservedGeneration, target: RunTarget, { moves, now }: Observed): Step[] {
  const { generation } = target
  const { server, spec } = generation
  const because = driftOf(generation, current)
  if (because === undefined) return []
  const mended = moves.filter((move) => move.kind === 'mend' && move.server === server && move.spec === spec)
  if (mended.filter(({ at }) => at > now - healLimit.within).length < healLimit.times)
    return [{ do: 'mend', server, target, because }]
  const words = `put right ${healLimit.times} times within ${span(healLimit.within)} and left for now: ${because}`
  return [{ do: 'hold', server, phase: 'stalled', because: words }]
}

/** What has been started again and again, or goes back and forth, is stopped and left to people. */
function haltOf(target: RunTarget, { server, observed, generations }: Place, isServing: boolean): Step | undefined {
  const { spec, origin } = target.generation
  const failure = observed.failures.get(server)
  if (failure?.spec === spec && failure.commit === origin && isHalted(failure.kind)) return undefined
  const heals = observed.moves.filter((move) => move.kind === 'heal' && move.server === server && move.spec === spec)
  const crashes = heals.filter(({ at }) => at > observed.now - healLimit.within)
  const current = generations.find((one) => one.spec === spec)
  const hasEnded = isServing && current?.state !== 'running'
  const times = crashes.length + Number(hasEnded)
  if (isServing && times >= healLimit.times) {
    const because = current?.state === 'exited' ? stopped(current) : (crashes.at(-1)?.because ?? 'it is gone')
    return {
      do: 'halt',
      server,
      target,
      kind: 'crash-loop',
      because: `crash loop: ${times} times within ${span(healLimit.within)}, last because ${because}`,
    }
  }
  if (isServing && current?.state === 'running') return undefined
  const loop = loopOf(server, target.generation, observed)
  return loop === undefined ? undefined : { do: 'halt', server, target, kind: 'loop', because: loop }
}

function isHalted(kind: string): boolean {
  return kind === 'crash-loop' || kind === 'loop'
}

/** While what the commit asks for cannot run, what served before serves on alone; where that is not known, nothing is touched. */
function keep({ server, generations, observed }: Place): Step[] {
  const serving = observed.table?.servers[server]
  const current = generations.find(({ spec }) => generationKey(server, spec) === serving?.generation)
  if (current === undefined) return []
  const others = running(generations)
    .filter((other) => other !== current)
    .map((other) => retire(other, 'it does not serve'))
  if (current.state !== 'running')
    return [...others, { do: 'resume', server, generation: current, because: stopped(current) }]
  if (serving?.upstream !== undefined) return others
  return [...others, { do: 'resume', server, generation: current, because: 'it runs, and calls do not reach it' }]
}

/** What served before the target stays until the target has lasted; anything else that runs goes at once. */
function retireOthers(
  current: ObservedGeneration,
  target: RunTarget,
  { server, aim, observed, generations }: Place,
): Step[] {
  const others = running(generations).filter((other) => other !== current)
  if (others.length === 0) return dropSurplus(current, generations)
  const draining = new Set(observed.table?.draining.map(({ generation }) => generation))
  return others.map((other) => {
    const step = retire(other, 'it does not serve')
    const isBefore = draining.has(generationKey(server, other.spec)) && !isExclusive(target.server)
    return isBefore ? { ...step, bake: { target, time: aim.settings.bake } } : step
  })
}

/** A controller that was killed between stopping one and removing another leaves two for a way back. */
function dropSurplus(current: ObservedGeneration, generations: readonly ObservedGeneration[]): Step[] {
  const stopped = generations.filter((other) => other !== current)
  const [oldest] = stopped.toSorted((a, b) => a.startedAt - b.startedAt)
  return oldest === undefined || stopped.length < 2 ? [] : [retire(oldest, 'one is kept for a way back')]
}

function running(generations: readonly ObservedGeneration[]): readonly ObservedGeneration[] {
  return generations.filter(({ state }) => state === 'running')
}

function roll(target: RunTarget, { aim, observed, generations }: Place): Step {
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
    bake: order === 'start-first' ? aim.settings.bake : 0,
    because: cause(target, { generations, before }, observed),
  }
}

function cause(
  target: RunTarget,
  { generations, before }: { generations: readonly ObservedGeneration[]; before: readonly ObservedGeneration[] },
  observed: Observed,
): string {
  const { name } = target.server
  const serving = observed.table?.servers[name]?.generation
  const current = generations.find(({ spec }) => spec === target.generation.spec)
  if (current?.state === 'running') return 'started, but not yet ready'
  if (serving === targetKey(target)) return current === undefined ? 'it is gone from the host' : stopped(current)
  const previous = before.find(({ spec }) => generationKey(name, spec) === serving) ?? before.at(-1)
  if (previous === undefined && current !== undefined) return 'in the commit again'
  if (previous === undefined) return ['new in the commit', ...target.server.loosens].join('; ')
  const parts = observed.known.get(generationKey(name, previous.spec))
  const isAsBefore = JSON.stringify(parts?.settings) === JSON.stringify(target.parts.settings)
  return [difference(parts, target.parts), ...(isAsBefore ? [] : target.server.loosens)].join('; ')
}

function stopped({ state, exitCode }: ObservedGeneration): string {
  return state === 'exited' ? `it stopped with exit code ${exitCode ?? 'unknown'}` : 'it was created but never started'
}

function planRoute(target: Exclude<Target, { kind: 'held' }>, observed: Observed): Step[] {
  const { name, loosens } = target.server
  const sent = target.kind === 'elsewhere' ? loosens : []
  const now = observed.table?.servers[name]
  if (now === undefined)
    return [{ do: 'route', server: name, change: 'create', because: ['new in the commit', ...sent].join('; ') }]
  const causes = routeCauses(now, target)
  const widens = causes.includes(moved) || causes.includes(resigned)
  const because = [...causes, ...(widens ? sent : [])].join('; ')
  return causes.length === 0 ? [] : [{ do: 'route', server: name, change: 'update', because }]
}

const moved = 'its address changed'
const resigned = 'its credential changed'

function routeCauses(now: TableServer, target: Exclude<Target, { kind: 'held' }>): readonly string[] {
  if (now.generation !== targetKey(target)) return [moved]
  const { server } = target
  const credential = target.kind === 'elsewhere' ? target.credential : undefined
  const isSentAsBefore = JSON.stringify(now.credential) === JSON.stringify(credential)
  const own = (['path', 'prefix', 'description', 'timeout', 'health'] as const).filter(
    (key) => now[key] !== server[key],
  )
  const budget = JSON.stringify(now.budgets) === JSON.stringify(server.budgets) ? [] : ['budget']
  const keys = [...own, ...pinChanges(now.pins, server), ...budget]
  return [...(keys.length === 0 ? [] : [`${keys.join(', ')} changed`]), ...(isSentAsBefore ? [] : [resigned])]
}

function retire(generation: ObservedGeneration, because: string): Extract<Step, { do: 'retire' }> {
  return { do: 'retire', server: generation.server, generation, because }
}
