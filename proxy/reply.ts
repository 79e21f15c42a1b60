import type { ServerResponse } from 'node:http'
import type { Message } from './message.ts'
import type { Refusal, RefusalName } from './refusal.ts'
import { eventOf, streamHeaders } from './sse.ts'

/** Sends JSON text as the whole answer. */
export function sendJson(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text)
}

const challenge = 'Bearer realm="mcp-gateway"'
const invalid = (why: string) => ({
  'www-authenticate': `${challenge}, error="invalid_token", error_description="${why}"`,
})

const extraHeaders: Partial<Record<RefusalName, Readonly<Record<string, string>>>> = {
  'token-missing': { 'www-authenticate': challenge },
  'token-unknown': invalid('Unknown or revoked token'),
  'token-newline': invalid('Unknown or revoked token'),
  'token-expired': invalid('Expired token'),
  method: { allow: 'POST' },
  starting: { 'retry-after': '1' },
  'too-large': { connection: 'close' },
}

/** Sends a refusal as the whole answer; `text` where its body is not the plain one. */
export function sendRefusal(
  response: ServerResponse,
  refusal: Refusal,
  text = refusal.body(),
  status = refusal.status,
): void {
  for (const [name, value] of Object.entries(extraHeaders[refusal.refusal] ?? {})) response.setHeader(name, value)
  sendJson(response, status, text)
}

/** Begins an event stream. Node forgets headers that it is only told when it writes them, and how an answer is broken off depends on its type. */
export function startStream(response: ServerResponse, status: number): void {
  for (const [name, value] of Object.entries(streamHeaders)) response.setHeader(name, value)
  response.writeHead(status)
  response.flushHeaders()
}

/** What may wait for a client that does not read, bytes, beside one message. */
const mostWaiting = 8 * 1024 * 1024

/** Writes to a stream. A client that does not read is cut off: where it can come back, it gets what is kept for it. */
export function writeOn(response: ServerResponse, text: string): void {
  if (response.writableLength > mostWaiting) response.destroy()
  else if (!response.destroyed) response.write(text)
}

/** Where the answer to one request goes: JSON, unless a message has to come before it and the client takes a stream. */
export interface Sink {
  note(text: string): void
  /** Asks the client something before the answer; undefined where it takes no stream, or has no session to answer in. */
  readonly ask: ((method: string, params: string, signal: AbortSignal) => Promise<Message>) | undefined
  end(status: number, text: string): void
}

export class WholeSink implements Sink {
  readonly ask = undefined
  readonly #response: ServerResponse
  readonly #streams: boolean

  constructor(response: ServerResponse, streams: boolean) {
    this.#response = response
    this.#streams = streams
  }

  note(text: string): void {
    const response = this.#response
    if (!this.#streams || response.writableEnded) return
    if (!response.headersSent) startStream(response, 200)
    writeOn(response, eventOf(text))
  }

  end(status: number, text: string): void {
    if (this.#response.headersSent) this.#response.end(eventOf(text))
    else sendJson(this.#response, status, text)
  }
}

/** Whether a client says that it reads event streams; "any type" is what curl says, and means none. */
export function takesStream(accept: string | undefined): boolean {
  return accept?.toLowerCase().includes('text/event-stream') ?? false
}
