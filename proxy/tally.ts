/** How many there are of each kind of thing. */
export interface Tally {
  add(kind: string, by: 1 | -1): void
  of(kind: string): number
}

/** `none` is called when there is nothing of a kind any more. */
export function createTally(none: (kind: string) => void): Tally {
  const counts = new Map<string, number>()
  return {
    add: (kind, by) => {
      const now = (counts.get(kind) ?? 0) + by
      if (now > 0) counts.set(kind, now)
      else counts.delete(kind)
      if (now === 0) none(kind)
    },
    of: (kind) => counts.get(kind) ?? 0,
  }
}
