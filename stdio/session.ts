import { randomUUID } from 'node:crypto'
import { errorText, type Message, progressToken } from './message.ts'
import { Program } from './program.ts'
import { busy, Refusal } from './refusal.ts'
import type { Reply } from './reply.ts'
import type { Settings } from './settings.ts'

/** ms that a program has to answer `initialize`. */
const startLimit = 20_000
/** Messages that wait for a client to listen. */
const queueLimit = 100
/** What is about no request, and so never belongs on the stream of one. */
const general = /^notifications\/(?:(?:tools|prompts|resources)\/list_changed|resources\/updated)$/

/** Who waits for the answer to one request. */
interface Waiter {
  readonly token: string | undefined
  readonly reply: Reply | undefined
  answer(text: string, message?: Message): void
}

/** A legacy session: one client, and the one program that it has for itself. */
export class Session {
  /** Of the clients that it has had one after the other, the last one knows it by this. */
  id = randomUUID()
  readonly since = Date.now()
  readonly program: Program
  readonly #settings: Settings
  readonly #waiters = new Map<string, Waiter>()
  #stream: Reply | undefined
  #queue: string[] = []
  #idle: NodeJS.Timeout | undefined
  #initialized = false

  constructor(settings: Settings) {
    this.#settings = settings
    this.program = new Program(settings, (message) => this.#hear(message))
    void this.program.ended.then((words) => this.#close(words))
    this.#touch()
  }

  get isQuiet(): boolean {
    return this.program.runs && this.#waiters.size === 0
  }

  /** Passes `initialize` on: the program's answer, or the error that its end makes. */
  async initialize(message: Message): Promise<{ readonly text: string; readonly result: unknown }> {
    const { promise, resolve } = Promise.withResolvers<{ text: string; result: unknown }>()
    const answer = (text: string, heard?: Message) => resolve({ text, result: heard?.result })
    this.#waiters.set(message.id, { token: undefined, reply: undefined, answer })
    const late = setTimeout(() => {
      void this.program.end(`it did not answer initialize within ${startLimit / 1_000} s`)
    }, startLimit)
    this.program.write(message)
    return promise.finally(() => clearTimeout(late))
  }

  /** Passes a request on; `reply` gets what belongs to it. */
  ask(message: Message, reply: Reply): void {
    if (this.#waiters.has(message.id)) throw new Refusal(400, -32600, `Invalid request: the id ${message.id} is in use`)
    const waiter = { token: progressToken(message), reply, answer: (text: string) => reply.answer(text) }
    this.tell(message)
    this.#waiters.set(message.id, waiter)
  }

  /** Passes on what has no answer. */
  tell(message: Message): void {
    this.#touch()
    if (message.method === 'notifications/initialized') {
      if (this.#initialized) return
      this.#initialized = true
    }
    if (!this.program.write(message)) {
      if (!this.program.runs) throw new Refusal(404, -32001, 'Session not found')
      throw busy('the program does not read what it is sent')
    }
    if (message.method === 'notifications/cancelled') this.#cancel(JSON.stringify(message.params.requestId))
  }

  /** Gives the client's stream what is about no request of its own; a stream that it opened before ends. */
  listen(reply: Reply): void {
    this.#stream?.end()
    this.#stream = reply
    reply.start()
    const waiting = this.#queue
    this.#queue = []
    for (const text of waiting) this.#later(text)
  }

  /** Forgets its client; the program, which has done nothing but answer, goes on for another one. */
  leave(): void {
    this.#stream?.end()
    this.#stream = undefined
    this.#queue = []
    this.id = randomUUID()
    this.#touch()
  }

  #hear(message: Message): void {
    this.#touch()
    if (message.kind === 'response') this.#answer(message)
    else this.#route(message)
  }

  /** What nobody waits for, or not any more, is dropped. */
  #answer(message: Message): void {
    const waiter = this.#waiters.get(message.id)
    if (waiter === undefined) this.program.dropped++
    this.#waiters.delete(message.id)
    waiter?.answer(message.text, message)
  }

  /** stdin and stdout do not say what a message is about: the oldest call whose client can be told is taken for it. */
  #route(message: Message): void {
    const { text, method } = message
    const waiting = [...this.#waiters.values()]
    if (method === 'notifications/progress') {
      const token = progressToken(message)
      waiting.find((waiter) => waiter.token === token)?.reply?.note(text)
    } else if (general.test(method) || !waiting.some(({ reply }) => reply?.note(text))) this.#later(text)
  }

  #later(text: string): void {
    if (this.#stream?.note(text)) return
    this.#queue.push(text)
    if (this.#queue.length > queueLimit) this.#queue.shift()
  }

  #cancel(id: string): void {
    const waiter = this.#waiters.get(id)
    if (waiter?.reply === undefined) return
    this.#waiters.delete(id)
    if (waiter.reply.streams) waiter.reply.start()
    else waiter.reply.answer(errorText(id, -32000, 'The request was cancelled'))
    waiter.reply.end()
  }

  /** A call whose client waits keeps it; a stream that is only open does not. */
  #touch(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => {
      if ([...this.#waiters.values()].some(({ reply }) => reply?.open !== false)) this.#touch()
      else void this.program.end(`nothing was said for ${this.#settings.idle / 1_000} s`)
    }, this.#settings.idle)
  }

  #close(words: string): void {
    clearTimeout(this.#idle)
    for (const [id, waiter] of this.#waiters) waiter.answer(errorText(id, -32603, words))
    this.#waiters.clear()
    this.#stream?.end()
  }
}
