import { setTimeout as sleep } from 'node:timers/promises'
import { legacyHeaders, modernHeaders, ownEnvelope } from './envelope.ts'
import type { Gateway } from './gateway.ts'
import { isRecord } from './message.ts'
import { endPooled, openSession, type PooledSession } from './pool.ts'
import { post, postUntil, streamReceiver, textReceiver } from './post.ts'
import { reach } from './reach.ts'
import { Refusal } from './refusal.ts'
import type { Target } from './table.ts'

/** How long a server may take to take note of a subscription, ms. */
const openLimit = 10_000
/** How long a server is left alone that refuses its credential, ms. */
const refusedPause = 20 * 60_000
const pauses = [500, 1_000, 2_000, 5_000, 10_000, 30_000]

export interface SubscriptionOptions {
  readonly gateway: Gateway
  readonly agent: string
  readonly server: string
  /** Takes each notification, as the server wrote it. */
  readonly take: (text: string) => void
  readonly signal: AbortSignal
}

/** Resources of one server that somebody wants to hear of, in whichever era the server speaks, across its restarts and replacements. */
export class Subscription {
  readonly uris = new Set<string>()
  readonly #options: SubscriptionOptions
  #round: AbortController | undefined

  constructor(options: SubscriptionOptions) {
    this.#options = options
  }

  /** Resolves when the server has taken note; throws a `Refusal` where it does not. */
  async add(uri: string): Promise<void> {
    this.uris.add(uri)
    try {
      await this.#renew()
    } catch (error) {
      this.uris.delete(uri)
      throw error
    }
  }

  async remove(uri: string): Promise<void> {
    if (this.uris.delete(uri)) await this.#renew()
  }

  /** Begins anew with what is wanted now. */
  async #renew(): Promise<void> {
    this.#round?.abort()
    const round = new AbortController()
    this.#round = round
    if (this.uris.size === 0) return
    const signal = AbortSignal.any([this.#options.signal, round.signal])
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    void this.#keep({ uris: [...this.uris], signal, resolve, reject })
    const { server } = this.#options
    const late = () => reject(new Refusal('timeout', { server, seconds: String(openLimit / 1_000) }))
    const timer = setTimeout(late, openLimit)
    await promise.finally(() => clearTimeout(timer))
  }

  /** The first round says whether the server takes note; the next ones are for its sake alone. */
  async #keep({ uris, signal, resolve, reject }: Keeping): Promise<void> {
    const { gateway, server } = this.#options
    for (let round = 0; !signal.aborted; round++) {
      const broken = await this.#once({ uris, signal, noted: resolve })
      if (broken !== undefined && round === 0) return reject(broken)
      gateway.log.debug({ err: broken, server }, 'a subscription broke off')
      const isRefused = broken?.refusal === 'credential' || broken?.refusal === 'no-credential'
      const pause = isRefused ? refusedPause : pauses[Math.min(round, pauses.length - 1)]
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  /** Lasts as long as the server keeps to it; gives what came in the way. */
  async #once(wish: Omit<Round, 'target'>): Promise<Refusal | undefined> {
    const { gateway, server } = this.#options
    try {
      const target = await reach(gateway, server, wish.signal)
      const { era } = await gateway.probes.finding(target)
      await (era === 'modern' ? this.#listen({ ...wish, target }) : this.#subscribe({ ...wish, target }))
      return undefined
    } catch (error) {
      return error instanceof Refusal ? error : new Refusal('down', { server }, { cause: error })
    }
  }

  async #listen({ target, uris, signal, noted }: Round): Promise<void> {
    const params = { notifications: { resourceSubscriptions: uris }, _meta: ownEnvelope }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'gateway', method: 'subscriptions/listen', params })
    const headers = modernHeaders('subscriptions/listen')
    let refused: unknown
    await post(this.#options.gateway.upstreams, { target, method: 'POST', headers, body, signal }, (text) => {
      const message: unknown = JSON.parse(text)
      if (!isRecord(message)) return
      if (message.method === 'notifications/subscriptions/acknowledged') noted()
      else if (message.method === 'notifications/resources/updated') this.#options.take(text)
      else if (isRecord(message.error)) refused = message.error.message
    })
    if (refused !== undefined) throw new Refusal('answer', { server: target.server, why: String(refused) })
  }

  async #subscribe({ target, uris, signal, noted }: Round): Promise<void> {
    const { gateway, agent, take } = this.#options
    const { upstreams } = gateway
    const session = await openSession(upstreams, target, { agent, capabilities: {} })
    try {
      const headers = legacyHeaders(session)
      const listening = upstreams.send({ target, method: 'GET', headers, signal }, ({ status, type }) => {
        if (status >= 300) throw new Refusal('answer', { server: target.server, why: `HTTP ${status} for its stream` })
        return type === 'text/event-stream'
          ? streamReceiver((text) => updated(text, take))
          : textReceiver(() => undefined)
      })
      const limited = AbortSignal.any([signal, AbortSignal.timeout(openLimit)])
      await Promise.race([listening, Promise.all(uris.map((uri) => this.#ask(session, uri, limited)))])
      noted()
      await listening
    } finally {
      void endPooled(upstreams, session)
    }
  }

  async #ask(session: PooledSession, uri: string, signal: AbortSignal): Promise<void> {
    const { target } = session
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resources/subscribe', params: { uri } })
    let refused: unknown = 'no answer'
    const sending = { target, method: 'POST', headers: legacyHeaders(session), body, signal } as const
    await postUntil(this.#options.gateway.upstreams, sending, (text) => {
      const message: unknown = JSON.parse(text)
      if (!isRecord(message)) return false
      if (isRecord(message.result)) refused = undefined
      else if (isRecord(message.error)) refused = message.error.message
      return isRecord(message.result) || isRecord(message.error)
    })
    if (refused !== undefined) throw new Refusal('answer', { server: target.server, why: String(refused) })
  }
}

interface Keeping {
  readonly uris: readonly string[]
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

interface Round {
  readonly target: Target
  readonly uris: readonly string[]
  readonly signal: AbortSignal
  readonly noted: () => void
}

function updated(text: string, take: (text: string) => void): void {
  const message: unknown = JSON.parse(text)
  if (isRecord(message) && message.method === 'notifications/resources/updated') take(text)
}
