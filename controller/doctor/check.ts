/** What a look at one thing found, and what to do about it. */
export interface Check {
  readonly what: string
  readonly verdict: 'ok' | 'warn' | 'fail'
  /** What was seen; where it is not fine, what to do. */
  readonly is: string
}

export function ok(what: string, is: string): Check {
  return { what, verdict: 'ok', is }
}

export function warn(what: string, is: string): Check {
  return { what, verdict: 'warn', is }
}

export function fail(what: string, is: string): Check {
  return { what, verdict: 'fail', is }
}

export function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll('\n', ' ')
}
