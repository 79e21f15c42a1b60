import { createHash } from 'node:crypto'
import type { Generation } from './host.ts'
import type { FailureKind } from './journal/failures.ts'
import { span } from './span.ts'
import type { Observed } from './step.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** So often may what serves be started again within so long, ms; then it is left to people. */
export const healLimit = { times: 5, within: 5 * minute }

/** The same generation may come to serve twice within so long, ms, for one commit; a third time is a loop. */
const loopLimit = { times: 2, within: 10 * minute }

/** What does not answer as it must is tried again so many times. */
const slowRetries = 3

/** What may be our own fault is tried again so soon, ms, and then without end, ever more slowly. */
const soon = [2 * second, 10 * second]

export interface Failed {
  readonly spec: string
  readonly kind: FailureKind
  readonly attempts: number
  /** ms since the epoch */
  readonly at: number
}

/**
 * When a generation that failed is tried again by itself, ms since the epoch; undefined for not before its inputs change. What an
 * author must put right is not tried in vain; what the world may have caused is tried again, ever more slowly.
 */
export function retryAt(failed: Failed): number | undefined {
  const wait = waitOf(failed)
  return wait === undefined ? undefined : failed.at + Math.round(wait * (1 - jitterOf(failed)))
}

/** Up to a fifth, so that what failed together is not tried again together; the same whenever it is asked, for plans are pure. */
function jitterOf({ spec, attempts, at }: Failed): number {
  return createHash('sha256').update(`${spec} ${attempts} ${at}`).digest().readUInt32BE() / 2 ** 32 / 5
}

/** ms; undefined for not before its inputs change. */
function waitOf({ kind, attempts }: Failed): number | undefined {
  switch (kind) {
    case 'build':
    case 'rolled-back':
    case 'crash-loop':
    case 'loop':
    case 'refused':
      return undefined
    case 'build-transient':
      return attempts === 1 ? second : hour
    case 'odd':
      return soon[attempts - 1] ?? ever(attempts - soon.length)
    case 'unhealthy':
      return attempts > slowRetries ? undefined : ever(attempts)
    default:
      return kind satisfies never
  }
}

/** How long until the first of these failures is tried again, ms; undefined where none is. */
export function nextRetry(failures: readonly Failed[], now: number): number | undefined {
  const next = Math.min(...failures.flatMap((failure) => retryAt(failure) ?? []).filter((at) => at > now))
  return Number.isFinite(next) ? next - now : undefined
}

/** 10, 20, 40 minutes and so on, up to six hours. */
function ever(attempts: number): number {
  return Math.min(6 * hour, 10 * minute * 2 ** (attempts - 1))
}

/** Whether it is tried again so soon that nobody need be told that it stalled. */
export function isSoon(failure: Failed): boolean {
  const again = retryAt(failure)
  return again !== undefined && again - failure.at < minute
}

/** Why a generation that is to serve once more does not: its inputs go back and forth, while the commit is the same. */
export function loopOf(server: string, { spec, origin }: Generation, { moves, now }: Observed): string | undefined {
  const rolls = moves.filter(
    (move) =>
      move.kind === 'roll' && move.server === server && move.commit === origin && move.at > now - loopLimit.within,
  )
  const same = rolls.filter((move) => move.spec === spec)
  if (same.length < loopLimit.times || rolls.at(-1)?.spec === spec) return undefined
  return `reconcile loop: ${same.at(-1)?.because ?? 'it changed'}, back and forth, ${rolls.length} times within ${span(loopLimit.within)} for one commit`
}
