import type { Dispatcher } from 'undici'
import Agent from 'undici/lib/dispatcher/agent.js'
import { Bag } from './bag.ts'
import { mediaType } from './body.ts'
import { pseudonymOf, viaOf } from './hops.ts'
import { createStateIds, type Holder } from './state-id.ts'
import type { Snapshot, Target } from './table.ts'
import { unfit } from './unfit.ts'

export interface Sending {
  readonly target: Target
  /** Another path than the MCP endpoint. */
  readonly path?: string
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  readonly signal: AbortSignal
  /** Set where nobody waits for it. */
  readonly routine?: true
  /** Called when it begins to leave: from then on the upstream may see it. */
  readonly started?: () => void
}

export interface Head {
  readonly status: number
  /** The media type alone, lower case; empty if there is none. */
  readonly type: string
  header(name: string): string | undefined
  /** Ends it, whatever else would come. */
  leave(): void
}

/** Takes a response's body as it comes. */
export interface Receiver {
  /** False asks for a pause until `drained` calls back. */
  write(chunk: Buffer): boolean
  drained(resume: () => void): void
  end(): void
}

/** An upstream could not be reached or broke off. */
export class UpstreamFailed extends Error {
  override readonly name = 'UpstreamFailed'
  /** Whether it may have seen the request: then it must not be sent again. */
  readonly sent: boolean
  constructor(target: Target, sent: boolean, cause: unknown) {
    super(`${target.generation}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.sent = sent
  }
}

/** The connections to all upstreams. */
export interface Upstreams extends AsyncDisposable {
  /**
   * Sends one request, with the credential that its upstream wants now, and hands its response on. Sets no limit of its own but that
   * of connecting. Rejects with `UpstreamFailed`, with the signal's reason, or with a `Refusal` for an answer that is none.
   */
  send(sending: Sending, receive: (head: Head) => Receiver): Promise<void>
  /** What still connects to a generation that served and does not any more fails, as not sent. */
  review(snapshot: Snapshot): void
  /** What an upstream without sessions tells its callers apart by. */
  stateId(server: string, holder: Holder): string
}

const connectLimit = 5_000
const keepAlive = 4_000
/** Bodies are looked into, and carried on as they are. */
const plain = { 'accept-encoding': 'identity' } as const

export interface UpstreamsOptions {
  /** A generation as the table in force has it. */
  readonly current: (generation: string) => Target | undefined
  /** Called when an upstream takes the credential that it is sent. */
  readonly taken: (generation: string) => void
  /** 32 bytes. */
  readonly key: Buffer
}

export function createUpstreams({ current, taken, key }: UpstreamsOptions): Upstreams {
  const agent = new Agent({
    connect: { timeout: connectLimit },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: keepAlive,
    maxOrigins: Number.POSITIVE_INFINITY,
  })
  const connecting = new Bag<Exchanging>()
  const pseudonym = pseudonymOf(key)
  return {
    send: (sending, receive) => {
      const { target, signal } = sending
      if (signal.aborted) return Promise.reject(signal.reason)
      // Sessions outlive credentials. What was one host's is never another's.
      const now = current(target.generation) ?? target
      const credential = now.origin === target.origin ? now.credential : undefined
      const exchanging = new Exchanging({ sending, receive, credential, taken, connecting })
      agent.dispatch(wordsOf(sending, viaOf(pseudonym), credential), exchanging)
      return exchanging.done
    },
    review: (snapshot) => {
      for (const exchanging of connecting) exchanging.review(snapshot)
    },
    stateId: createStateIds(key),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

function wordsOf(
  { target, path, method, headers, body }: Sending,
  via: string,
  credential: Target['credential'],
): Dispatcher.DispatchOptions {
  const own: Record<string, string> = { ...plain, via, ...headers }
  if (credential !== undefined) own[credential.header] = credential.value
  return { origin: target.origin, path: path ?? target.path, method, headers: own, body: body ?? null }
}

interface Order {
  readonly sending: Sending
  readonly receive: (head: Head) => Receiver
  readonly credential: Target['credential']
  readonly taken: (generation: string) => void
  /** What was not sent yet. */
  readonly connecting: Bag<Exchanging>
}

class Exchanging implements Dispatcher.DispatchHandler {
  readonly done: Promise<void>
  #controller: Dispatcher.DispatchController | undefined
  #receiver: Receiver | undefined
  #isLeft = false
  readonly #order: Order
  readonly #connected: () => void
  readonly #resolve: () => void
  readonly #reject: (reason: unknown) => void

  constructor(order: Order) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.#order = order
    this.#resolve = resolve
    this.#reject = reject
    this.#connected = order.connecting.add(this)
    order.sending.signal.addEventListener('abort', this)
  }

  #settle(): void {
    this.#connected()
    this.#order.sending.signal.removeEventListener('abort', this)
  }

  #fail(reason: unknown): void {
    this.#settle()
    this.#reject(reason)
  }

  /** Its signal was aborted. While it still connects there is nothing to abort: it is aborted when it starts. */
  handleEvent(): void {
    const { reason } = this.#order.sending.signal
    this.#fail(reason)
    this.#controller?.abort(new Error('ended', { cause: reason }))
  }

  review({ targets }: Snapshot): void {
    const { target } = this.#order.sending
    if (target.role !== 'serving' || targets.get(target.generation)?.role === 'serving') return
    this.#isLeft = true
    this.#fail(new UpstreamFailed(target, false, new Error('it no longer serves')))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const { signal, started } = this.#order.sending
    this.#controller = controller
    this.#connected()
    if (this.#isLeft) controller.abort(new Error('sent elsewhere'))
    else if (signal.aborted) controller.abort(new Error('ended', { cause: signal.reason }))
    else started?.()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: NodeJS.Dict<string | string[]>,
  ): void {
    if (status < 200) return
    this.#attempt(controller, () => {
      this.#receiver = this.#receive(new ResponseHead(status, headers, controller))
    })
  }

  #receive(head: Head): Receiver {
    const { sending, receive, credential, taken } = this.#order
    const refusal = unfit(sending.target.server, credential, head)
    if (refusal !== undefined) throw refusal
    if (credential !== undefined) taken(sending.target.generation)
    return receive(head)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const receiver = this.#receiver
    this.#attempt(controller, () => {
      if (receiver === undefined || receiver.write(chunk)) return
      controller.pause()
      receiver.drained(() => controller.resume())
    })
  }

  #attempt(controller: Dispatcher.DispatchController, act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#fail(error)
      controller.abort(new Error('refused', { cause: error }))
    }
  }

  onResponseEnd(): void {
    try {
      this.#receiver?.end()
      this.#settle()
      this.#resolve()
    } catch (error) {
      this.#fail(error)
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(new UpstreamFailed(this.#order.sending.target, this.#controller !== undefined, error))
  }
}

class ResponseHead implements Head {
  readonly status: number
  readonly type: string
  readonly #headers: NodeJS.Dict<string | string[]>
  readonly #controller: Dispatcher.DispatchController

  constructor(status: number, headers: NodeJS.Dict<string | string[]>, controller: Dispatcher.DispatchController) {
    this.status = status
    this.#headers = headers
    this.#controller = controller
    this.type = mediaType(this.header('content-type'))
  }

  header(name: string): string | undefined {
    const value = this.#headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  leave(): void {
    this.#controller.abort(new Error('left'))
  }
}
