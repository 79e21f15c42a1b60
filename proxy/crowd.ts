import type { Limits } from './limits.ts'
import { Refusal } from './refusal.ts'

/** What somebody holds of which nobody may hold too many. */
export interface Held {
  readonly id: string
  readonly agent: string
  /** ms since the epoch */
  usedAt: number
}

/** Sessions of all agents, within bounds. */
export interface Crowd<T extends Held> {
  get(id: string): T | undefined
  add(one: T): void
  /** Whether it was there. */
  delete(one: T): boolean
  all(): readonly T[]
  /**
   * Who has to go before an agent may have one more: of its own the one that was idle for longest, or of whoever has most where all
   * together have too many. Throws a `Refusal` where none of those is idle.
   */
  inTheWay(agent: string): T | undefined
  /** Since the last time: what was used, and what nobody uses any more. What is in use is used now. */
  review(now: number): { readonly used: readonly T[]; readonly idle: readonly T[] }
}

export function createCrowd<T extends Held>(limits: Limits, isBusy: (one: T) => boolean): Crowd<T> {
  const held = new Map<string, T>()
  const byAgent = new Map<string, Set<T>>()
  const ownOf = (agent: string) => byAgent.get(agent) ?? new Set<T>()
  let reviewedAt = 0
  return {
    get: (id) => held.get(id),
    add: (one) => {
      held.set(one.id, one)
      byAgent.set(one.agent, ownOf(one.agent).add(one))
    },
    delete: (one) => {
      const own = ownOf(one.agent)
      own.delete(one)
      if (own.size === 0) byAgent.delete(one.agent)
      return held.delete(one.id)
    },
    all: () => [...held.values()],
    inTheWay: (agent) => {
      const own = ownOf(agent)
      if (own.size >= limits.sessionsOfAgent) return idlest(own, isBusy)
      return held.size >= limits.sessions ? idlest(largest(byAgent.values()), isBusy) : undefined
    },
    review: (now) => {
      const all = [...held.values()]
      for (const one of all) if (isBusy(one)) one.usedAt = now
      const used = all.filter(({ usedAt }) => usedAt >= reviewedAt)
      reviewedAt = now
      return { used, idle: all.filter(({ usedAt }) => now - usedAt > limits.sessionIdle) }
    },
  }
}

function idlest<T extends Held>(held: ReadonlySet<T>, isBusy: (one: T) => boolean): T {
  let found: T | undefined
  for (const one of held) if (!isBusy(one) && one.usedAt < (found?.usedAt ?? Number.POSITIVE_INFINITY)) found = one
  if (found === undefined) throw new Refusal('sessions', { count: String(held.size) })
  return found
}

function largest<T>(sets: Iterable<ReadonlySet<T>>): ReadonlySet<T> {
  let found: ReadonlySet<T> = new Set()
  for (const one of sets) if (one.size > found.size) found = one
  return found
}
