import type { PackedTable } from '#manifests/packed-table.ts'
import { indexTable, type Snapshot } from './table.ts'

/** Holds the one table that is in force. */
export interface Holder {
  readonly current: Snapshot | undefined
  /** Puts a newer table in force; an older or equal one is ignored. Returns whether it took effect. */
  replace(table: PackedTable): boolean
  /** Calls back after each replacement, in the order of subscription. */
  onReplace(listener: (snapshot: Snapshot) => void): void
  /** Resolves at the next replacement; rejects with the signal's reason. */
  next(signal: AbortSignal): Promise<Snapshot>
}

export function createHolder(): Holder {
  let current: Snapshot | undefined
  const listeners = new Set<(snapshot: Snapshot) => void>()
  return {
    get current() {
      return current
    },
    replace(table) {
      if (current !== undefined && table.revision <= current.revision) return false
      const snapshot = indexTable(table)
      current = snapshot
      for (const listener of [...listeners]) listener(snapshot)
      return true
    },
    onReplace: (listener) => void listeners.add(listener),
    next: (signal) => nextOf(listeners, signal),
  }
}

function nextOf(listeners: Set<(snapshot: Snapshot) => void>, signal: AbortSignal): Promise<Snapshot> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<Snapshot>()
  const stop = () => reject(signal.reason)
  listeners.add(resolve)
  signal.addEventListener('abort', stop, { once: true })
  return promise.finally(() => {
    listeners.delete(resolve)
    signal.removeEventListener('abort', stop)
  })
}
