import type { Dispatcher } from 'undici'
import type { Bag } from './bag.ts'
import { mediaType } from './body.ts'
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

export interface Order {
  readonly sending: Sending
  readonly receive: (head: Head) => Receiver
  readonly credential: Target['credential']
  readonly taken: (generation: string) => void
  /** What was not sent yet. */
  readonly connecting: Bag<Transfer>
}

/** One request on its way to an upstream, and its response on the way back. */
export class Transfer implements Dispatcher.DispatchHandler {
  readonly done: Promise<void>
  #controller: Dispatcher.DispatchController | undefined
  #receiver: Receiver | undefined
  #isLeft = false
  readonly #order: Order
  readonly #connected: () => void
  readonly #stop = () => this.#end()
  readonly #resolve: () => void
  readonly #reject: (reason: unknown) => void

  constructor(order: Order) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.done = promise
    this.#order = order
    this.#resolve = resolve
    this.#reject = reject
    this.#connected = order.connecting.add(this)
    order.sending.signal.addEventListener('abort', this.#stop)
  }

  #settle(): void {
    this.#connected()
    this.#order.sending.signal.removeEventListener('abort', this.#stop)
  }

  #fail(reason: unknown): void {
    this.#settle()
    this.#reject(reason)
  }

  /** Its signal was aborted. While it still connects there is nothing to abort: it is aborted when it starts. */
  #end(): void {
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
