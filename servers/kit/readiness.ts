/** Why tools cannot work now, or nothing. */
export type Check = () => Promise<string | undefined>

export interface Readiness {
  /** What the check says, or what it said while that still stands; it runs once for all who ask meanwhile. */
  readonly ready: Check
  /** Counts as a check that found nothing: it was just seen to work. */
  readonly good: () => void
}

/** `stands` is how long an answer is good for, in ms: many may ask, and a check costs something. */
export function createReadiness(check: Check, stands: { readonly good: number; readonly bad: number }): Readiness {
  let reason: string | undefined
  let until = 0
  let asking: Promise<string | undefined> | undefined
  const note = (found: string | undefined) => {
    reason = found
    until = performance.now() + (found === undefined ? stands.good : stands.bad)
    return found
  }
  return {
    ready: async () => {
      if (performance.now() < until) return reason
      asking ??= check()
        .then(note)
        .finally(() => {
          asking = undefined
        })
      return await asking
    },
    good: () => void note(undefined),
  }
}
