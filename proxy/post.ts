import { createMessageParser, type Place } from './sse.ts'
import { Unfit } from './unfit.ts'
import type { Receiver, Sending, Upstreams } from './upstream.ts'

export interface Reply {
  readonly status: number
  readonly type: string
  readonly sessionId: string | undefined
  /** What it said, if that is neither a stream nor empty. */
  readonly text: string
}

/** Some say nothing of what their JSON is. */
function isJson(type: string): boolean {
  return type === 'application/json' || type === ''
}

/** The longest answer that is held in memory, bytes. */
export const answerLimit = 64 * 1024 * 1024

/** Sends one request and waits for the whole answer; `take` gets each JSON-RPC message of a stream as it comes, or the one body. */
export async function post(
  upstreams: Upstreams,
  sending: Sending,
  take: (text: string, status: number, reply: Reply) => void,
): Promise<Reply> {
  let reply: Reply = { status: 0, type: '', sessionId: undefined, text: '' }
  await upstreams.send(sending, ({ status, type, header }) => {
    reply = { status, type, sessionId: header('mcp-session-id'), text: '' }
    if (type === 'text/event-stream') return streamReceiver((text) => take(text, status, reply))
    return textReceiver((text) => {
      reply = { ...reply, text }
      if (isJson(type) && text.trim() !== '') take(text, status, reply)
    })
  })
  return reply
}

/** The longest that a stream stays open after what was asked for, ms. */
const linger = 1_000

/** The same where the upstream may keep its stream open without end: `take` says when it has what was asked for. */
export function postUntil(
  upstreams: Upstreams,
  sending: Sending,
  take: (text: string, status: number) => boolean,
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const { signal } = sending
  const leaving = new AbortController()
  const leave = () => leaving.abort(signal.reason)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  let timer: NodeJS.Timeout | undefined
  post(upstreams, { ...sending, signal: leaving.signal }, (text, status, reply) => {
    if (!take(text, status) || timer !== undefined) return
    if (reply.type === 'text/event-stream') timer = setTimeout(leave, linger)
    resolve(reply)
  })
    .then(resolve, reject)
    .finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', leave)
    })
  return promise
}

/** Gathers a body and hands it on as one text. */
export function textReceiver(done: (text: string) => void): Receiver {
  const chunks: Buffer[] = []
  let size = 0
  return {
    write: (chunk) => {
      size += chunk.length
      if (size > answerLimit) throw new Unfit(`more than ${answerLimit} bytes`)
      chunks.push(chunk)
      return true
    },
    drained: (resume) => resume(),
    end: () => done(Buffer.concat(chunks).toString()),
  }
}

/** Hands on each message of an event stream. */
export function streamReceiver(
  take: (text: string) => void,
  { done = () => undefined, place }: { readonly done?: () => void; readonly place?: Place } = {},
): Receiver {
  const parser = createMessageParser(take, place)
  return {
    write: (chunk) => {
      parser.feed(chunk)
      return true
    },
    drained: (resume) => resume(),
    end: done,
  }
}
