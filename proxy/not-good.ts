import { Refusal } from './refusal.ts'

/** An answer that is not good. Its own words are the server's, and may hold what only operators may see. */
export class NotGood extends Error {
  override readonly name = 'NotGood'
  readonly said: string

  /** `cause` is the refusal where it is no answer at all. */
  constructor(message: string, said: string, cause?: Refusal) {
    super(message, { cause })
    this.said = said
  }
}

/** Whether an upstream answers, and refuses who asks. */
export function isRefused(error: unknown): boolean {
  const cause = error instanceof NotGood ? error.cause : undefined
  return cause instanceof Refusal && (cause.refusal === 'credential' || cause.refusal === 'no-credential')
}

/** What was refused in the place of an answer; who is let alone was not asked. */
export function unanswered(what: string, error: unknown): unknown {
  if (!(error instanceof Refusal) || error.refusal === 'resting') return error
  return new NotGood(`${what} answered ${error.about.why}`, '', error)
}
