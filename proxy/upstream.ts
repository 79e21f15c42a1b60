import type { Dispatcher } from 'undici'
import Agent from 'undici/lib/dispatcher/agent.js'
import { Bag } from './bag.ts'
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
  readonly header: (name: string) => string | undefined
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
  const means = { agent, connecting, pseudonym: pseudonymOf(key) }
  return {
    send: (sending, receive) => {
      const { target } = sending
      // Sessions outlive credentials. What was one host's is never another's.
      const now = current(target.generation) ?? target
      const credential = now.origin === target.origin ? now.credential : undefined
      if (credential === undefined) return send(means, sending, judging(sending, undefined, receive))
      const signed = { ...sending, headers: { ...sending.headers, [credential.header]: credential.value } }
      return send(
        means,
        signed,
        judging(sending, credential, (head) => {
          taken(target.generation)
          return receive(head)
        }),
      )
    },
    review: (snapshot) => {
      for (const exchanging of connecting) exchanging.review(snapshot)
    },
    stateId: createStateIds(key),
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

function judging(
  { target: { server } }: Sending,
  credential: Target['credential'],
  receive: (head: Head) => Receiver,
): (head: Head) => Receiver {
  return (head) => {
    const refusal = unfit({ server, credential, ...head })
    if (refusal !== undefined) throw refusal
    return receive(head)
  }
}

interface Means {
  readonly agent: Agent
  /** What was not sent yet. */
  readonly connecting: Bag<Exchanging>
  readonly pseudonym: string
}

function send(
  { agent, connecting, pseudonym }: Means,
  sending: Sending,
  receive: (head: Head) => Receiver,
): Promise<void> {
  const { target, path, method, headers, body, signal } = sending
  if (signal.aborted) return Promise.reject(signal.reason)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const handler = new Exchanging(sending, receive, { resolve, reject, sent: () => settled() })
  const settled = connecting.add(handler)
  const stop = () => handler.stop()
  signal.addEventListener('abort', stop, { once: true })
  agent.dispatch(
    {
      origin: target.origin,
      path: path ?? target.path,
      method,
      headers: { ...plain, via: viaOf(pseudonym), ...headers },
      body: body ?? null,
    },
    handler,
  )
  return promise.finally(() => {
    settled()
    signal.removeEventListener('abort', stop)
  })
}

interface Settle {
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  readonly sent: () => void
}

class Exchanging implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | undefined
  #receiver: Receiver | undefined
  #isLeft = false
  readonly #sending: Sending
  readonly #receive: (head: Head) => Receiver
  readonly #settle: Settle

  constructor(sending: Sending, receive: (head: Head) => Receiver, settle: Settle) {
    this.#sending = sending
    this.#receive = receive
    this.#settle = settle
  }

  /** While it still connects there is nothing to abort: it is aborted when it starts. */
  stop(): void {
    this.#settle.reject(this.#sending.signal.reason)
    this.#controller?.abort(new Error('ended', { cause: this.#sending.signal.reason }))
  }

  review({ targets }: Snapshot): void {
    const { target } = this.#sending
    if (target.role !== 'serving' || targets.get(target.generation)?.role === 'serving') return
    this.#isLeft = true
    this.#settle.reject(new UpstreamFailed(target, false, new Error('it no longer serves')))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#settle.sent()
    if (this.#isLeft) controller.abort(new Error('sent elsewhere'))
    else if (this.#sending.signal.aborted) this.stop()
    else this.#sending.started?.()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: NodeJS.Dict<string | string[]>,
  ): void {
    if (status < 200) return
    try {
      this.#receiver = this.#receive(headOf(status, headers))
    } catch (error) {
      this.#settle.reject(error)
      controller.abort(new Error('refused', { cause: error }))
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const receiver = this.#receiver
    try {
      if (receiver === undefined || receiver.write(chunk)) return
      controller.pause()
      receiver.drained(() => controller.resume())
    } catch (error) {
      this.#settle.reject(error)
      controller.abort(new Error('refused', { cause: error }))
    }
  }

  onResponseEnd(): void {
    try {
      this.#receiver?.end()
      this.#settle.resolve()
    } catch (error) {
      this.#settle.reject(error)
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#settle.reject(new UpstreamFailed(this.#sending.target, this.#controller !== undefined, error))
  }
}

function headOf(status: number, headers: NodeJS.Dict<string | string[]>): Head {
  const header = (name: string) => {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const type = header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  return { status, type, header }
}
