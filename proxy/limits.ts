/** How much of a proxy its clients may take. Times in ms. */
export interface Limits {
  /** A session that nobody uses ends after this. */
  readonly sessionIdle: number
  /** Legacy sessions of one agent, and of all agents, of each of the two kinds. */
  readonly sessionsOfAgent: number
  readonly sessions: number
  /** Between two looks at what is over. */
  readonly review: number
  /** The longest call, whatever progress it makes. */
  readonly call: number
  /** A client has so long to take what waits for it, */
  readonly stalled: number
  /** and longer where that is much: bytes a second. */
  readonly slowest: number
}

/** Clients do not begin anew when their session is gone: it is kept for long. */
export const usualLimits: Limits = {
  sessionIdle: 24 * 3_600_000,
  sessionsOfAgent: 1_000,
  sessions: 20_000,
  review: 60_000,
  call: 10 * 60_000,
  stalled: 60_000,
  slowest: 256 * 1024,
}
