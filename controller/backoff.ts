/** Waits that double from `first` to `most` ms, with up to a fifth of jitter, until something succeeds. */
export interface Backoff {
  /** The wait after one more failure, ms. */
  next(): number
  reset(): void
}

export function createBackoff(first: number, most: number): Backoff {
  let failures = 0
  return {
    next: () => Math.round(Math.min(most, first * 2 ** failures++) * (1 - Math.random() / 5)),
    reset() {
      failures = 0
    },
  }
}
