/** The wrapper says no: HTTP status, JSON-RPC code and words. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: number, words: string, headers: Readonly<Record<string, string>> = {}) {
    super(words)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** Nothing was done, and may be asked again. */
export function busy(words: string): Refusal {
  return new Refusal(503, -32000, words, { 'retry-after': '5' })
}
