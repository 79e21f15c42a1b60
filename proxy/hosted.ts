import { randomBytes } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Bag } from './bag.ts'
import { createCallers } from './callers.ts'
import { EventStream } from './event-stream.ts'
import { Ended, type Exchange } from './exchange.ts'
import type { Kind } from './grant.ts'
import { isRecord, type Message } from './message.ts'
import type { Listener } from './news.ts'
import type { PooledSession } from './pool.ts'
import type { Sink } from './reply.ts'
import { sendJson } from './reply.ts'

/** What a client said of itself when its session began. */
export interface Client {
  readonly version: string
  readonly capabilities: Readonly<Record<string, unknown>>
  readonly info: Readonly<Record<string, unknown>>
}

/** Capabilities that a client must have for what a server may ask of it. */
const asked: Readonly<Record<string, string>> = {
  'elicitation/create': 'elicitation',
  'sampling/createMessage': 'sampling',
  'roots/list': 'roots',
}
/** The capability that a client must have for a request of a server; undefined where there is no such request. */
export function capabilityFor(method: string): string | undefined {
  return asked[method]
}

/** Older clients take an event without data for a message. */
const primedSince = '2025-11-25'
/** How long a person may take to answer, ms. */
const answerLimit = 600_000
/** How long a stream that has ended can be read again, ms. */
const rereadLimit = 5 * 60_000

interface InFlight {
  /** JSON text. */
  readonly id: string
  readonly exchange: Exchange
}

/** The client cannot be asked, or did not answer. */
export class NotAnswered extends Error {
  override readonly name = 'NotAnswered'
}

/** A legacy session that is the gateway's own, and outlives every server: of the joint endpoint, or of one server that keeps none. */
export class HostedSession implements Listener {
  readonly id: string
  readonly agent: string
  readonly client: Client
  /** The one server that it is about; undefined at the joint endpoint. */
  readonly only: string | undefined
  /** Least severe log messages that it takes. */
  level: string | undefined
  /** Resources that it wants to hear of, by their names at the joint endpoint. */
  readonly uris = new Set<string>()
  usedAt = Date.now()
  /** What no request waits for. */
  readonly standing = new EventStream('0')
  /** Requests that are being answered. */
  readonly inFlight = new Bag<InFlight>()
  /** Sessions of its own at legacy servers, by generation. */
  readonly upstream = new Map<string, Promise<PooledSession>>()
  /** How to ask the client within a call that is on its way, by server. */
  readonly callers = createCallers()
  readonly #over = new AbortController()
  readonly #streams = new Map<string, EventStream>()
  readonly #questions = new Map<string, (answer: Message) => void>()
  #streamCount = 0
  #questionCount = 0

  constructor(
    agent: string,
    client: Client,
    { id, only }: { readonly id?: string; readonly only?: string | undefined } = {},
  ) {
    this.id = id ?? randomBytes(24).toString('base64url')
    this.only = only
    this.agent = agent
    this.client = client
  }

  /** Aborted when it ends. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** Whether a session at a server is still the one that it uses there. */
  async has(own: PooledSession): Promise<boolean> {
    if (this.signal.aborted) return false
    return (await this.upstream.get(own.target.generation)?.catch(() => undefined)) === own
  }

  get primed(): boolean {
    return this.client.version >= primedSince
  }

  /** Where the answer to one request goes; what comes before it makes a stream of it. */
  sink(response: ServerResponse, streams: boolean): Sink {
    let stream: EventStream | undefined
    const open = () => {
      stream ??= this.#openStream(response)
      return stream
    }
    return {
      note: (text) => {
        if (streams) open().send(text)
      },
      end: (status, text) => {
        stream?.send(text)
        stream?.end()
        if (stream === undefined && !response.destroyed) sendJson(response, status, text)
      },
      ask: streams ? (method, params, signal) => this.ask(open, { method, params }, signal) : undefined,
    }
  }

  /** A stream that a client was cut off from, and the number of the last event that it has. */
  lookUp(lastEventId: string): { readonly stream: EventStream; readonly after: number } | undefined {
    const [, name = '', number = ''] = /^(\d+)_(\d+)$/.exec(lastEventId) ?? []
    const stream = name === '0' ? this.standing : this.#streams.get(name)
    return stream === undefined ? undefined : { stream, after: Number(number) }
  }

  /** Asks the client something and gives its answer; throws `NotAnswered` where it cannot be asked. */
  async ask(
    open: () => EventStream,
    { method, params }: { readonly method: string; readonly params: string },
    signal: AbortSignal,
  ): Promise<Message> {
    const capability = capabilityFor(method)
    if (capability === undefined || this.client.capabilities[capability] === undefined)
      throw new NotAnswered(`the client does not offer ${capability ?? method}`)
    const id = `"gateway-${++this.#questionCount}"`
    const { promise, resolve, reject } = Promise.withResolvers<Message>()
    const late = AbortSignal.any([signal, AbortSignal.timeout(answerLimit)])
    const stop = () => reject(new NotAnswered('the client did not answer', { cause: late.reason }))
    late.addEventListener('abort', stop, { once: true })
    this.#questions.set(id, resolve)
    open().send(`{"jsonrpc":"2.0","id":${id},"method":"${method}","params":${params}}`)
    if (late.aborted) stop()
    return promise.finally(() => {
      this.#questions.delete(id)
      late.removeEventListener('abort', stop)
    })
  }

  /** Takes what the client says without wanting an answer. */
  hear(message: Message): void {
    if (message.kind === 'response') this.#questions.get(message.id ?? '')?.(message)
    if (message.method === 'notifications/cancelled') this.#cancel(JSON.stringify(message.params.requestId))
  }

  #cancel(request: string): void {
    for (const { id, exchange } of this.inFlight)
      if (id === request) exchange.end(new Ended('left', 'the client cancelled it'))
  }

  /** Says that a list is another now. */
  tell(kind: Kind): void {
    this.standing.send(`{"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}`)
  }

  /** Forgets streams that nobody will read again. */
  tidy(now: number): void {
    for (const [name, { endedAt }] of this.#streams)
      if (endedAt !== undefined && now - endedAt > rereadLimit) this.#streams.delete(name)
  }

  /** Each request that is being answered is told so, with which its stream ends. */
  close(): void {
    this.#over.abort(new Ended('left', 'its session ended'))
    for (const { exchange } of this.inFlight) exchange.end(new Ended('left', 'its session ended'))
    this.standing.end()
  }

  #openStream(response: ServerResponse): EventStream {
    const stream = new EventStream(String(++this.#streamCount))
    this.#streams.set(stream.name, stream)
    stream.attach(response, { primed: this.primed })
    return stream
  }
}

/** Reads what a client says of itself in `initialize`. */
export function readClient(version: string, { capabilities, clientInfo }: Message['params']): Client {
  return {
    version,
    capabilities: isRecord(capabilities) ? capabilities : {},
    info: isRecord(clientInfo) ? clientInfo : {},
  }
}
