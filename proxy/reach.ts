import { setTimeout as sleep } from 'node:timers/promises'
import { Ended, type Exchange, Late } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { Refusal } from './refusal.ts'
import { servingTarget, type Target } from './table.ts'
import { UpstreamFailed } from './transfer.ts'
import { Unfit } from './unfit.ts'
import type { Visit } from './visit.ts'

/** How long a call waits for a server that is being replaced, ms. */
const replacedLimit = 15_000
const retryPause = 200
/** How long a call is offered to a server that cannot be reached, ms: one that ended is started again, or another takes its place. */
const unreachedLimit = 3_000

/** The generation of a server that takes calls now; waits while there is none. Throws `Refusal` after 15 s or when the server is gone. */
export async function reach(gateway: Gateway, server: string, signal: AbortSignal): Promise<Target> {
  const snapshot = gateway.holder.current
  return (snapshot && servingTarget(snapshot, server)) ?? awaitTarget(gateway, server, signal)
}

async function awaitTarget({ holder }: Gateway, server: string, signal: AbortSignal): Promise<Target> {
  const limit = AbortSignal.timeout(replacedLimit)
  const either = AbortSignal.any([signal, limit])
  while (holder.current?.servers.has(server)) {
    const snapshot = await holder.next(either).catch((reason: unknown) => {
      throw signal.aborted ? reason : new Refusal('replaced', { server })
    })
    const target = servingTarget(snapshot, server)
    if (target !== undefined) return target
  }
  throw new Refusal('replaced', { server })
}

/** Does something with a target; if that was never reached, again with the one that serves then, for a while. */
export async function withTarget<T>(
  first: Target,
  again: () => Promise<Target>,
  act: (target: Target) => Promise<T>,
): Promise<T> {
  let unreached = 0
  for (let target = first; ; target = await again()) {
    const since = performance.now()
    try {
      return await act(target)
    } catch (error) {
      if (!(error instanceof UpstreamFailed) || error.sent) throw error
      unreached += performance.now() - since
      // It waits while nothing serves, which is no time in which what serves cannot be reached.
      const { generation } = await again()
      if (generation !== target.generation) continue
      if (unreached > unreachedLimit) throw error
      await sleep(retryPause)
      unreached += retryPause
    }
  }
}

/** The end of a call that makes no progress, or takes too long with it. */
export class Patience implements Disposable {
  readonly #exchange: Exchange
  readonly #timeout: number
  readonly #longest: number
  readonly #begun = performance.now()
  #heard = this.#begun
  #waits = 0
  #timer: NodeJS.Timeout

  /** `timeout` is for a call without progress, `longest` for one with any; ms. */
  constructor(exchange: Exchange, timeout: number, longest: number) {
    this.#exchange = exchange
    this.#timeout = timeout
    this.#longest = Math.max(longest, timeout)
    this.#timer = setTimeout(look, timeout, this)
  }

  progress(): void {
    this.#heard = performance.now()
  }

  /** Waits for somebody without being late for it. */
  async during<T>(wait: Promise<T>): Promise<T> {
    this.#waits++
    try {
      return await wait
    } finally {
      this.#waits--
      this.progress()
    }
  }

  look(): void {
    const now = performance.now()
    const whole = this.#begun + this.#longest - now
    const idle = this.#waits > 0 ? this.#timeout : this.#heard + this.#timeout - now
    const late = (limit: number, words: string) => this.#exchange.end(new Late(limit, words))
    if (whole <= 0) late(this.#longest, `not finished within ${this.#longest / 1000} s`)
    else if (idle <= 0) late(this.#timeout, `no progress within ${this.#timeout / 1000} s`)
    else this.#timer = setTimeout(look, Math.min(whole, idle), this)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}

function look(patience: Patience): void {
  patience.look()
}

/** Ends an exchange when its client goes away before it has the answer. */
export function endWithClient({ response, session }: Visit, exchange: Exchange): void {
  response.on('close', () => {
    // A session's client that has begun to read a stream may come back for the rest of it.
    if (session !== undefined && response.headersSent) return
    if (!response.writableFinished) exchange.end(new Ended('left', 'the client went away'))
  })
}

/** What to tell a client of anything that came in the way of its answer. */
export function refusalOf(gateway: Gateway, error: unknown, target: Pick<Target, 'server' | 'timeout'>): Refusal {
  const { server } = target
  if (error instanceof Refusal) return error
  if (error instanceof UpstreamFailed) return new Refusal('down', { server }, { cause: error })
  if (error instanceof Unfit) return new Refusal('answer', { server, why: error.message })
  // Only what an upstream says is parsed here, and its words are not for the log.
  if (error instanceof SyntaxError) return new Refusal('answer', { server, why: 'what is not JSON' })
  if (error instanceof Ended && error.why === 'timeout') {
    const limit = error instanceof Late ? error.limit : target.timeout
    return new Refusal('timeout', { server, seconds: String(limit / 1000) })
  }
  if (error instanceof Ended) return new Refusal('ended', { why: error.message })
  gateway.log.error({ err: error, server }, 'a request failed')
  return new Refusal('internal', {}, { cause: error })
}
