import { wholeOf } from './body.ts'
import { createMessageParser, type Place } from './sse.ts'
import type { Head, Receiver, Sending } from './transfer.ts'
import { Unfit } from './unfit.ts'
import type { Upstreams } from './upstream.ts'

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

type Take = (text: string, status: number, head: Head) => void

/** Sends one request and waits for the whole answer; `take` gets each JSON-RPC message of a stream as it comes, or the one body. */
export async function post(upstreams: Upstreams, sending: Sending, take: Take): Promise<Reply> {
  let reply = nothing
  await upstreams.send(sending, (head) => {
    const { status, type } = head
    reply = replyOf(head, '')
    if (type === 'text/event-stream') return streamReceiver((text) => take(text, status, head))
    return textReceiver((text) => {
      reply = replyOf(head, text)
      if (isJson(type) && text.trim() !== '') take(text, status, head)
    })
  })
  return reply
}

const nothing: Reply = { status: 0, type: '', sessionId: undefined, text: '' }

function replyOf(head: Head, text: string): Reply {
  return { status: head.status, type: head.type, sessionId: head.header('mcp-session-id'), text }
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
  let timer: NodeJS.Timeout | undefined
  const settle = (act: () => void) => {
    clearTimeout(timer)
    act()
  }
  post(upstreams, sending, (text, status, head) => {
    if (!take(text, status) || timer !== undefined || head.type !== 'text/event-stream') return
    timer = setTimeout(() => head.leave(), linger)
    resolve(replyOf(head, ''))
  }).then(
    (reply) => settle(() => resolve(reply)),
    (error: unknown) => settle(() => reject(error)),
  )
  return promise
}

/** Gathers a body and hands it on as one text. */
export function textReceiver(done: (text: string) => void): Receiver {
  return new TextReceiver(done)
}

class TextReceiver implements Receiver {
  readonly #done: (text: string) => void
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor(done: (text: string) => void) {
    this.#done = done
  }

  write(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (this.#size > answerLimit) throw new Unfit(`more than ${answerLimit} bytes`)
    this.#chunks.push(chunk)
    return true
  }

  drained(resume: () => void): void {
    resume()
  }

  end(): void {
    this.#done(wholeOf(this.#chunks).toString())
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
