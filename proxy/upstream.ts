import { Agent, type Dispatcher } from 'undici'
import type { Snapshot, Target } from './table.ts'

export interface Sending {
  readonly target: Target
  /** Another path than the MCP endpoint. */
  readonly path?: string
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | string
  readonly signal: AbortSignal
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
   * Sends one request and hands its response on. Follows no redirect, sets no limit of its own but that of connecting.
   * Rejects with `UpstreamFailed`, or with the signal's reason.
   */
  send(sending: Sending, receive: (head: Head) => Receiver): Promise<void>
  /** What still connects to a generation that served and does not any more fails, as not sent. */
  review(snapshot: Snapshot): void
}

const connectLimit = 5_000
const keepAlive = 4_000

export function createUpstreams(): Upstreams {
  const agent = new Agent({
    connect: { timeout: connectLimit },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: keepAlive,
    maxOrigins: Number.POSITIVE_INFINITY,
  })
  const connecting = new Set<Exchanging>()
  return {
    send: (sending, receive) => send({ agent, connecting }, sending, receive),
    review: (snapshot) => {
      for (const exchanging of connecting) exchanging.review(snapshot)
    },
    [Symbol.asyncDispose]: () => agent.destroy(),
  }
}

interface Means {
  readonly agent: Agent
  /** What was not sent yet. */
  readonly connecting: Set<Exchanging>
}

function send({ agent, connecting }: Means, sending: Sending, receive: (head: Head) => Receiver): Promise<void> {
  const { target, path, method, headers, body, signal } = sending
  if (signal.aborted) return Promise.reject(signal.reason)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const settled = () => connecting.delete(handler)
  const handler = new Exchanging(sending, receive, { resolve, reject, sent: settled })
  const stop = () => handler.stop()
  connecting.add(handler)
  signal.addEventListener('abort', stop, { once: true })
  agent.dispatch({ origin: target.origin, path: path ?? target.path, method, headers, body: body ?? null }, handler)
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
