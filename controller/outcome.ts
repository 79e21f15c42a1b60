import type { CommitPhase, CommitStatus, ServerPhase } from '#manifests/status.ts'
import type { Table } from '#manifests/table.ts'
import { admit } from './admission.ts'
import type { Aim } from './aim.ts'
import { type Target, targetKey } from './generation.ts'
import type { Attempt } from './journal/failures.ts'
import type { Run } from './lanes.ts'
import { isSoon } from './patience.ts'
import { itself } from './step.ts'

/** All that decides how far a commit is. */
export interface Standing {
  readonly aim: Aim
  readonly table: Table | undefined
  /** `<server>@<spec>` of what the table says serves, and the last look at the host did not find running. */
  readonly absent: ReadonlySet<string>
  /** Why servers are left as they are, in words, though they may serve. */
  readonly left?: ReadonlyMap<string, string>
  readonly runs: ReadonlyMap<string, Run>
  readonly failures: ReadonlyMap<string, Attempt>
  /** What failed through no fault of the commit and is tried again, by lane. */
  readonly troubles: ReadonlyMap<string, string>
  /** Names of live proxies that have not taken the last table. */
  readonly behind: readonly string[]
  readonly liveProxies: number
  /** Whether the gateway itself runs from what the commit says; where that is not told, it does. */
  readonly isCurrent?: boolean
}

export interface ServerStanding {
  readonly phase: ServerPhase
  readonly reason: string
}

/** How one server of the commit stands. Pure. */
export function serverStanding(target: Target, standing: Standing): ServerStanding {
  const { name } = target.server
  const key = targetKey(target)
  const serving = standing.table?.servers[name]
  const run = standing.runs.get(name)
  if (target.kind === 'held') return { phase: 'waiting', reason: target.because }
  const isThere = key !== undefined && !standing.absent.has(key)
  const serves = isThere && serving?.generation === key && serving?.upstream !== undefined
  const suspension = standing.aim.suspended?.get(name)
  if (suspension !== undefined) return { phase: 'suspended', reason: suspension }
  const left = standing.left?.get(name)
  if (serves && run === undefined && left !== undefined) return { phase: 'stalled', reason: left }
  if (serves && run?.awaited !== true)
    return { phase: 'ready', reason: run?.doing ?? standing.aim.pinned?.get(name) ?? 'serves what the commit asks for' }
  if (run !== undefined) return { phase: 'deploying', reason: run.doing }
  const failure = standing.failures.get(name)
  if (target.kind === 'run' && failure?.spec === target.generation.spec && failure.commit === target.generation.origin)
    return isSoon(failure)
      ? { phase: 'deploying', reason: `tried again: ${failure.reason}` }
      : { phase: 'stalled', reason: failure.reason }
  const trouble = standing.troubles.get(name)
  return { phase: 'deploying', reason: trouble === undefined ? 'queued' : `tried again: ${trouble}` }
}

/** What became of the commit so far: its phase, and every server that is not as it says. Pure. */
export function outcome(standing: Standing): Pick<CommitStatus, 'phase' | 'reason' | 'servers' | 'held'> {
  const all = Object.values(standing.aim.targets).map(
    (target) => [target.server.name, serverStanding(target, standing)] as const,
  )
  const own = itsStanding(standing)
  const isOther = (name: string, { phase }: ServerStanding) => phase !== 'ready' || standing.aim.pinned?.has(name)
  const servers = Object.fromEntries([...all.filter(([name, one]) => isOther(name, one)), ...own])
  const { held = [] } = standing.aim
  return { ...phaseOf(standing, servers), servers, ...(held.length === 0 ? {} : { held: [...held] }) }
}

/** How the gateway itself stands, where it is not as the commit says and yet serves; under its own name. */
function itsStanding(standing: Standing): readonly (readonly [string, ServerStanding])[] {
  if (standing.isCurrent !== false || standing.liveProxies === 0) return []
  const run = standing.runs.get(itself)
  if (run !== undefined) return [[itself, { phase: 'deploying', reason: run.doing }]]
  const failure = standing.failures.get(itself)
  if (failure?.commit === standing.aim.commit) return [[itself, { phase: 'stalled', reason: failure.reason }]]
  const trouble = standing.troubles.get(itself)
  return [[itself, { phase: 'deploying', reason: trouble === undefined ? 'queued' : `tried again: ${trouble}` }]]
}

function phaseOf(
  standing: Standing,
  servers: Readonly<Record<string, ServerStanding>>,
): { phase: CommitPhase; reason: string } {
  const named = (phase: ServerPhase) => Object.keys(servers).filter((name) => servers[name]?.phase === phase)
  const trouble = standing.troubles.get(itself)
  if (standing.liveProxies === 0 && trouble !== undefined)
    return { phase: 'applying', reason: `no proxy runs: ${trouble}` }
  const deploying = named('deploying')
  if (deploying.length > 0) return { phase: 'applying', reason: `deploying ${deploying.join(', ')}` }
  if (standing.liveProxies === 0) return { phase: 'applying', reason: 'no proxy runs yet' }
  if (standing.behind.length > 0)
    return {
      phase: 'applying',
      reason: `${standing.behind.join(', ')} has yet to take revision ${standing.table?.revision}`,
    }
  if (isWaitingForGrants(standing, servers)) return { phase: 'applying', reason: 'grants are being published' }
  const held = [...named('stalled'), ...named('waiting'), ...named('suspended')]
  if (held.length > 0)
    return {
      phase: 'degraded',
      reason: `${held.join(', ')} ${held.length === 1 ? 'is' : 'are'} not as the commit says`,
    }
  const [part, ...more] = standing.aim.held ?? []
  if (part !== undefined)
    return {
      phase: 'held',
      reason: `${part.what}: ${part.because}${more.length === 0 ? '' : `; and ${more.length} more`}`,
    }
  const back = named('ready')
  if (back.length > 0)
    return { phase: 'applied', reason: `all but ${back.join(', ')}, rolled back on the machine, is as the commit says` }
  return { phase: 'applied', reason: 'everything is as the commit says' }
}

/** Whether the table has yet to carry a grant whose server is ready. */
function isWaitingForGrants({ aim, table }: Standing, others: Readonly<Record<string, ServerStanding>>): boolean {
  const ready = new Set(Object.keys(aim.targets).filter((name) => (others[name]?.phase ?? 'ready') === 'ready'))
  return JSON.stringify(admit(table?.agents ?? {}, aim.agents, ready)) !== JSON.stringify(table?.agents ?? {})
}

/** Whether all that the commit grants is in force at every proxy. Pure. */
export function grantsOf({ aim, table, behind, liveProxies }: Standing): NonNullable<CommitStatus['grants']> {
  const all = admit(table?.agents ?? {}, aim.agents, new Set(Object.keys(aim.targets)))
  const isWhole = JSON.stringify(all) === JSON.stringify(table?.agents ?? {})
  return isWhole && liveProxies > 0 && behind.length === 0 ? 'published' : 'waiting'
}

/** Phases that only a newer commit, or the world, can change. */
export function isFinal(phase: CommitPhase): boolean {
  switch (phase) {
    case 'applied':
    case 'degraded':
    case 'rejected':
    case 'held':
    case 'superseded':
      return true
    case 'seen':
    case 'verified':
    case 'planned':
    case 'applying':
      return false
    default:
      return phase satisfies never
  }
}
