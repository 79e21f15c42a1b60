import { isRecord } from './message.ts'
import { NotGood } from './not-good.ts'
import type { Reply } from './post.ts'

/** What an upstream answered. */
export type Asked = Reply & {
  readonly message: Readonly<Record<string, unknown>> | undefined
  /** The text of the message. */
  readonly said: string
}
/** Throws where it does not answer. */
export type Ask = (method: string, params: object, headers: Readonly<Record<string, string>>) => Promise<Asked>

const ofMcp: ReadonlySet<string> = new Set(['', 'application/json', 'text/event-stream'])

/** Why an answer is not good. */
export function notGood(method: string, { status, type, text, message }: Asked): NotGood {
  const kind = ofMcp.has(type) ? '' : ` ${type}`
  const error = isRecord(message?.error) ? message.error : undefined
  const code = typeof error?.code === 'number' ? ` with error ${error.code}` : ''
  return new NotGood(
    `${method} answered HTTP ${status}${kind}${code}`,
    error === undefined ? text : String(error.message),
  )
}
