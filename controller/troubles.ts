import { type Backoff, createBackoff } from './backoff.ts'
import { HostDown } from './host.ts'

/** What failed in lanes through no fault of the commit, and is tried again. */
export interface Troubles {
  /** By lane, in words for people. */
  readonly reasons: ReadonlyMap<string, string>
  /** One more failure in a lane; gives the wait before the next try, ms. */
  add(lane: string, reason: string): number
  /** Forgets all but what these lanes have: nothing is left to do in the others. */
  keep(lanes: ReadonlySet<string>): void
  end(lane: string): void
}

interface Trouble {
  readonly reason: string
  readonly backoff: Backoff
}

export function createTroubles(): Troubles {
  const troubles = new Map<string, Trouble>()
  return {
    get reasons() {
      return new Map([...troubles].map(([lane, { reason }]) => [lane, reason]))
    },
    add(lane, reason) {
      const backoff = troubles.get(lane)?.backoff ?? createBackoff(1_000, 30_000)
      troubles.set(lane, { reason, backoff })
      return backoff.next()
    },
    keep(lanes) {
      for (const lane of troubles.keys()) if (!lanes.has(lane)) troubles.delete(lane)
    },
    end: (lane) => void troubles.delete(lane),
  }
}

/** A host that does not answer is told in its words; a trace is for what nobody has foreseen. */
export function faultOf(error: unknown): { readonly reason: string } | { readonly err: unknown } {
  return error instanceof HostDown ? { reason: error.message } : { err: error }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
