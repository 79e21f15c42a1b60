const window = 60_000
const allowed = 20
const remembered = 1_000

/** Counts failed attempts by address in a minute; its memory is bounded. */
export interface Failures {
  add(address: string): void
  /** Seconds until the address may try again; 0 if it may now. */
  wait(address: string): number
}

export function createFailures(): Failures {
  const counts = new Map<string, { count: number; readonly until: number }>()
  const current = (address: string) => {
    const entry = counts.get(address)
    return entry !== undefined && entry.until > Date.now() ? entry : undefined
  }
  return {
    add(address) {
      const entry = current(address) ?? { count: 0, until: Date.now() + window }
      entry.count += 1
      counts.delete(address)
      counts.set(address, entry)
      const [oldest] = counts.keys()
      if (counts.size > remembered && oldest !== undefined) counts.delete(oldest)
    },
    wait(address) {
      const entry = current(address)
      return entry === undefined || entry.count < allowed ? 0 : Math.ceil((entry.until - Date.now()) / 1000)
    },
  }
}
