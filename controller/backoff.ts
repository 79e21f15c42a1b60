/** Waits that double from `first` to `most` ms, with up to a fifth of jitter, until something succeeds. */
export interface Backoff {
  /** The wait after one more failure, ms. */
  next(): number
  reset(): void
}

export function createBackoff(first: number, most: number): Backoff {
  let failures = 0
  return {
    next: () => waitAfter(++failures, { first, most }),
    reset() {
      failures = 0
    },
  }
}

/** The wait after so many failures in a row, ms. */
export function waitAfter(
  failures: number,
  { first, most }: { readonly first: number; readonly most: number },
): number {
  return Math.round(Math.min(most, first * 2 ** (failures - 1)) * (1 - Math.random() / 5))
}
