import { setTimeout as pause } from 'node:timers/promises'

/** Wakes all who wait, and remembers nobody. */
export interface Bell {
  ring(): void
  /** Resolves at the next ring, after `limit` ms, or when the signal aborts. */
  next(limit: number, signal: AbortSignal): Promise<void>
}

export function createBell(): Bell {
  let rung = new AbortController()
  return {
    ring() {
      const last = rung
      rung = new AbortController()
      last.abort()
    },
    async next(limit, signal) {
      await pause(Math.max(0, limit), undefined, { signal: AbortSignal.any([rung.signal, signal]) }).catch(
        () => undefined,
      )
    },
  }
}
