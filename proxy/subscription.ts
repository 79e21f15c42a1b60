import { legacyHeaders, modernHeaders, ownEnvelope } from './envelope.ts'
import { follow } from './follow.ts'
import type { Gateway } from './gateway.ts'
import { isRecord } from './message.ts'
import { persist } from './persist.ts'
import { endPooled, openSession, type PooledSession } from './pool.ts'
import { post, postUntil } from './post.ts'
import { reach } from './reach.ts'
import { Refusal } from './refusal.ts'
import type { Target } from './table.ts'

/** How long a server may take to take note of a subscription, ms. */
const openLimit = 10_000

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

  /** Whoever asked hears whether the server takes note; what breaks off later is begun again. */
  async #keep({ uris, signal, resolve, reject }: Keeping): Promise<void> {
    const { gateway, server } = this.#options
    let isNoted = false
    const noted = () => {
      isNoted = true
      resolve()
    }
    const once = async () => {
      try {
        await this.#once({ uris, signal, noted })
      } catch (error) {
        if (isNoted) throw error
        reject(error)
        return 'over'
      }
    }
    await persist(once, { signal, broken: (err) => gateway.log.debug({ err, server }, 'a subscription broke off') })
  }

  /** Lasts as long as the server keeps to it; throws a `Refusal`. */
  async #once(wish: Omit<Round, 'target'>): Promise<void> {
    const { gateway, server } = this.#options
    try {
      const target = await reach(gateway, server, wish.signal)
      const { era } = await gateway.probes.finding(target)
      await (era === 'modern' ? this.#listen({ ...wish, target }) : this.#subscribe({ ...wish, target }))
    } catch (error) {
      throw error instanceof Refusal ? error : new Refusal('down', { server }, { cause: error })
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
    const { gateway, agent } = this.#options
    const { upstreams, endings } = gateway
    const session = await openSession(upstreams, target, { agent, capabilities: {} })
    const leaving = new AbortController()
    try {
      const listening = this.#follow(session, AbortSignal.any([signal, leaving.signal]))
      const limited = AbortSignal.any([signal, AbortSignal.timeout(openLimit)])
      await Promise.race([listening, Promise.all(uris.map((uri) => this.#ask(session, uri, limited)))])
      noted()
      await listening
    } finally {
      leaving.abort()
      void endings.add(() => endPooled(upstreams, session))
    }
  }

  async #follow(session: PooledSession, signal: AbortSignal): Promise<void> {
    const { gateway, server, take } = this.#options
    const { upstreams } = gateway
    const nothing = () => undefined
    const from = { upstreams, session, signal, answered: nothing, broken: nothing }
    const status = await follow({ ...from, take: (text) => updated(text, take) })
    if (status > 0) throw new Refusal('answer', { server, why: `HTTP ${status} for its stream` })
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
