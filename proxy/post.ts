import { createMessageParser } from './sse.ts'
import type { Receiver, Sending, Upstreams } from './upstream.ts'

export interface Reply {
  readonly status: number
  readonly type: string
  readonly sessionId: string | undefined
  /** What it said, if that is neither a stream nor empty. */
  readonly text: string
}

/** The longest answer that is held in memory, bytes. */
export const answerLimit = 64 * 1024 * 1024

/** Sends one request and waits for the whole answer; `take` gets each JSON-RPC message of a stream as it comes, or the one body. */
export async function post(
  upstreams: Upstreams,
  sending: Sending,
  take: (text: string, status: number) => void,
): Promise<Reply> {
  let reply: Reply = { status: 0, type: '', sessionId: undefined, text: '' }
  await upstreams.send(sending, ({ status, type, header }) => {
    reply = { status, type, sessionId: header('mcp-session-id'), text: '' }
    if (type === 'text/event-stream') return streamReceiver((text) => take(text, status))
    return textReceiver((text) => {
      reply = { ...reply, text }
      if (type === 'application/json' && text.trim() !== '') take(text, status)
    })
  })
  return reply
}

/** Gathers a body and hands it on as one text. */
export function textReceiver(done: (text: string) => void): Receiver {
  const chunks: Buffer[] = []
  let size = 0
  return {
    write: (chunk) => {
      size += chunk.length
      if (size > answerLimit) throw new Error(`the answer has more than ${answerLimit} bytes`)
      chunks.push(chunk)
      return true
    },
    drained: (resume) => resume(),
    end: () => done(Buffer.concat(chunks).toString()),
  }
}

/** Hands on each message of an event stream. */
export function streamReceiver(take: (text: string) => void, done: () => void = () => undefined): Receiver {
  const parser = createMessageParser(take)
  return {
    write: (chunk) => {
      parser.feed(chunk)
      return true
    },
    drained: (resume) => resume(),
    end: done,
  }
}
