import type { Dispatcher } from 'undici'
import Agent from 'undici/lib/dispatcher/agent.js'
import { Bag } from './bag.ts'
import { pseudonymOf, viaOf } from './hops.ts'
import { createStateIds, type Holder } from './state-id.ts'
import type { Snapshot, Target } from './table.ts'
import { type Head, type Receiver, type Sending, Transfer } from './transfer.ts'

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
  const connecting = new Bag<Transfer>()
  const pseudonym = pseudonymOf(key)
  return {
    send: (sending, receive) => {
      const { target, signal } = sending
      if (signal.aborted) return Promise.reject(signal.reason)
      // Sessions outlive credentials. What was one host's is never another's.
      const now = current(target.generation) ?? target
      const credential = now.origin === target.origin ? now.credential : undefined
      const transfer = new Transfer({ sending, receive, credential, taken, connecting })
      agent.dispatch(wordsOf(sending, viaOf(pseudonym), credential), transfer)
      return transfer.done
    },
    review: (snapshot) => {
      for (const transfer of connecting) transfer.review(snapshot)
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
