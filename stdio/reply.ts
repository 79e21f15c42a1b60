import type { ServerResponse } from 'node:http'
import { longest } from './settings.ts'

/** ms between two signs of life, and what a client has to read what waits for it. */
const beat = 15_000
const stalled = 30_000

/** Whoever writes too much is held back meanwhile. */
export interface Flow {
  pause(): void
  resume(): void
}

/** The HTTP answer to one request: one JSON body, or an event stream where something comes before the answer or it takes long. */
export class Reply {
  readonly streams: boolean
  readonly #response: ServerResponse
  readonly #headers: Readonly<Record<string, string>>
  readonly #flow: Flow | undefined
  readonly #beat: NodeJS.Timeout
  #stall: NodeJS.Timeout | undefined

  /** Without a `flow`, what is not read in time is given up. */
  constructor(response: ServerResponse, streams: boolean, flow?: Flow, headers: Readonly<Record<string, string>> = {}) {
    this.#response = response
    this.streams = streams
    this.#flow = flow
    this.#headers = headers
    this.#beat = setInterval(() => this.#sayAlive(), beat)
    response.once('close', () => this.#close())
    response.on('drain', () => this.#drained())
    response.on('error', () => {}) // its client left, which `close` says too
  }

  /** Whether somebody waits for it. */
  get open(): boolean {
    return !this.#response.writableEnded && !this.#response.destroyed
  }

  /** Says something before the answer; false where that cannot be. */
  note(text: string): boolean {
    if (!this.open || !this.streams) return false
    this.start()
    this.#write(`event: message\ndata: ${text}\n\n`)
    return this.open
  }

  answer(text: string, status = 200): void {
    if (!this.open) return
    if (this.#response.headersSent) {
      this.note(text)
      this.end()
      return
    }
    const length = Buffer.byteLength(text)
    const headers = { ...this.#headers, 'content-type': 'application/json', 'content-length': length }
    this.#response.writeHead(status, headers).end(text)
  }

  /** Makes it an event stream. */
  start(): void {
    if (this.#response.headersSent) return
    this.#response.writeHead(200, {
      ...this.#headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    this.#response.flushHeaders()
  }

  end(): void {
    if (this.open) this.#response.end()
  }

  #sayAlive(): void {
    if (!this.open || !this.streams) return
    this.start()
    this.#write(':\n\n')
  }

  #write(text: string): void {
    if (this.#response.write(text)) return
    if (this.#flow === undefined && this.#response.writableLength > longest) this.#response.destroy()
    this.#flow?.pause()
    this.#stall ??= setTimeout(() => this.#response.destroy(), stalled)
  }

  #drained(): void {
    clearTimeout(this.#stall)
    this.#stall = undefined
    this.#flow?.resume()
  }

  #close(): void {
    clearInterval(this.#beat)
    this.#drained()
  }
}
