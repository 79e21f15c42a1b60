import type { ServerResponse } from 'node:http'
import { startStream, writeOn } from './reply.ts'
import { eventOf } from './sse.ts'

/** Messages that are kept for a client that was cut off, and their characters beside the last one's; older ones are lost. */
const keptLimit = 500
const keptSize = 8 * 1024 * 1024
/** What a client that was cut off waits before it comes back, ms. */
const retry = 2_000
const keepAlive = 15_000

/**
 * The messages that one stream carries to a client, each with an id, so that a client that was cut off goes on where it was
 * (2025-11-25, basic/transports, resumability). What is sent while nobody listens is kept.
 */
export class EventStream {
  /** Unique in its session; an event's id is it and the event's number. */
  readonly name: string
  readonly #kept: { readonly number: number; readonly text: string }[] = []
  #number = 0
  #size = 0
  /** Number of the last event that was handed to a connection. */
  #handed = 0
  #response: ServerResponse | undefined
  #pulse: NodeJS.Timeout | undefined
  #ended: number | undefined

  constructor(name: string) {
    this.name = name
  }

  get isOpen(): boolean {
    return this.#response !== undefined
  }

  /** When it ended, ms since the epoch. */
  get endedAt(): number | undefined {
    return this.#ended
  }

  /** Carries it over a response from now on: what came after an event, or what nobody was given. */
  attach(response: ServerResponse, { after, primed }: { readonly after?: number; readonly primed: boolean }): void {
    if (!response.headersSent) startStream(response, 200)
    const from = after ?? this.#handed
    // Tells a client whom to ask for if it is cut off before the first message; older ones take an event without data for a message.
    if (primed) response.write(`id: ${this.name}_${from}\nretry: ${retry}\ndata: \n\n`)
    this.#response = response
    this.#pulse = setInterval(() => writeOn(response, ': \n\n'), keepAlive)
    response.once('close', () => this.#detach(response))
    for (const { number, text } of this.#kept) if (number > from) this.#write(number, text)
    if (this.#ended !== undefined) this.#leave()
  }

  send(text: string): void {
    const number = ++this.#number
    this.#kept.push({ number, text })
    this.#size += text.length
    while (this.#kept.length > keptLimit || (this.#size - text.length > keptSize && this.#kept.length > 1))
      this.#size -= this.#kept.shift()?.text.length ?? 0
    this.#write(number, text)
  }

  /** Ends the connection, and the stream with it. */
  end(): void {
    this.#ended ??= Date.now()
    this.#leave()
  }

  #write(number: number, text: string): void {
    if (this.#response === undefined) return
    writeOn(this.#response, `id: ${this.name}_${number}\n${eventOf(text)}`)
    this.#handed = number
  }

  /** What is sent from now on is only kept: a response that was ended takes nothing any more. */
  #leave(): void {
    const response = this.#response
    if (response === undefined) return
    this.#detach(response)
    response.end()
  }

  #detach(response: ServerResponse): void {
    if (this.#response !== response) return
    this.#response = undefined
    clearInterval(this.#pulse)
  }
}
