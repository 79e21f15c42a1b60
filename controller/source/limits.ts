/** How long a repository is waited for, ms. */
export interface Limits {
  /** Until it has said where its branches are. */
  readonly answer: number
  /** Without a byte, over HTTP. */
  readonly silence: number
  /** Without a step forward, in a fetch over any transport. */
  readonly standstill: number
  /** For one fetch as a whole. */
  readonly fetch: number
}

export const usualLimits: Limits = {
  answer: 60_000,
  silence: 20_000,
  // A server that packs, and git that looks through what it got, may be at it for long without a word.
  standstill: 5 * 60_000,
  fetch: 30 * 60_000,
}
