import type { Pool } from 'undici'
import { createMessageParser } from '../../proxy/sse.ts'

/** A request as it is on the wire. */
export interface Sent {
  readonly path: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer | undefined
}

/** Sends a request, and throws unless what comes back is one of the ways in which a proxy answers. */
export async function mustBeWellAnswered(
  pool: Pool,
  { path, method, headers, body }: Sent,
  secret: string,
): Promise<void> {
  const answer = await pool.request({ path, method, headers, body: body ?? null })
  const type = String(answer.headers['content-type'] ?? '')
  const isListening =
    type === 'text/event-stream' && (method === 'GET' || headers['mcp-method'] === 'subscriptions/listen')
  const text = isListening ? '' : await answer.body.text()
  if (isListening) answer.body.destroy()
  const what = `${answer.statusCode} ${type} ${text.slice(0, 300)}`
  if (![200, 202, 204, 400, 401, 403, 404, 405, 406, 409, 413, 415, 429, 508].includes(answer.statusCode))
    throw new Error(what)
  if (text.includes(secret)) throw new Error(`a token: ${what}`)
  if (isListening || (text === '' && (answer.statusCode === 202 || answer.statusCode === 204 || method === 'HEAD')))
    return
  const messages: unknown[] = []
  if (type === 'application/json') messages.push(...[JSON.parse(text)].flat())
  else if (type === 'text/event-stream')
    createMessageParser((one) => messages.push(JSON.parse(one))).feed(Buffer.from(text))
  if (messages.length === 0 || !messages.every(isAnswer)) throw new Error(what)
}

function isAnswer(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  if ('error' in message && typeof message.error === 'string') return true
  const isCode = (error: unknown) =>
    typeof error === 'object' && error !== null && 'code' in error && 'message' in error
  const isOutcome = 'result' in message || ('error' in message && isCode(message.error)) || 'method' in message
  return 'jsonrpc' in message && message.jsonrpc === '2.0' && isOutcome
}
