import { modernHeaders, ownEnvelope, probing } from './envelope.ts'
import { follow } from './follow.ts'
import { type Kind, kinds } from './grant.ts'
import type { Finding } from './inquire.ts'
import { isRecord } from './message.ts'
import { type Persisting, persist } from './persist.ts'
import { endPooled, openSession } from './pool.ts'
import { post } from './post.ts'
import type { Probes } from './probe.ts'
import { type Onlooker, type Snapshot, seenBy, type Target } from './table.ts'
import type { Upstreams } from './upstream.ts'

/**
 * Hears from servers the moment that they say that a list changed, and has them asked what it is now: from modern ones at any time,
 * from legacy ones, where it takes a session, while somebody who sees them listens. The others are asked again and again.
 */
export interface Heeds extends AsyncDisposable {
  /** Starts listening to what is to be heard now, stops listening to the rest. */
  review(snapshot: Snapshot): void
  /** Somebody listens to the gateway, and is to hear of changes. Returns what ends it. */
  attend(who: Onlooker): () => void
}

export interface Heeding {
  readonly upstreams: Upstreams
  readonly probes: Probes
  readonly current: () => Snapshot | undefined
  readonly signal: AbortSignal
}

interface State {
  /** By what they see: many listen to the same. */
  readonly audience: Map<string, { readonly who: Onlooker; streams: number }>
  /** What ends each, by generation. */
  readonly ears: Map<string, AbortController>
  /** Those that have no stream although they say that they tell. */
  readonly silent: Set<string>
  /** What still runs, be it ended. */
  readonly running: Set<Promise<void>>
}

export function createHeeds(heeding: Heeding): Heeds {
  const state: State = { audience: new Map(), ears: new Map(), silent: new Set(), running: new Set() }
  let isDue = false
  /** Once for all who come and go in one turn of the loop. */
  const again = () => {
    if (isDue) return
    isDue = true
    setImmediate(() => {
      isDue = false
      const snapshot = heeding.current()
      if (snapshot !== undefined && !heeding.signal.aborted) review(heeding, state, snapshot)
    })
  }
  return {
    review: (snapshot) => review(heeding, state, snapshot),
    attend: (who) => {
      const key = JSON.stringify([who.agent, who.only])
      const seat = state.audience.get(key) ?? { who, streams: 0 }
      state.audience.set(key, seat)
      if (seat.streams++ === 0) again()
      return () => {
        if (--seat.streams > 0) return
        state.audience.delete(key)
        again()
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const stop of state.ears.values()) stop.abort()
      await Promise.all(state.running)
    },
  }
}

function review(heeding: Heeding, state: State, snapshot: Snapshot): void {
  const { audience, ears, silent, running } = state
  const seen = new Set([...audience.values()].flatMap(({ who }) => seenBy(snapshot, who)))
  const wanted = [...snapshot.targets.values()].flatMap((target) => {
    const found = foundOf(heeding, target)
    if (found === undefined) return []
    const isHeard = found.era === 'modern' || (seen.has(target.server) && !silent.has(target.generation))
    const told = announced(found)
    return isHeard && told.length > 0 ? [{ target, era: found.era, told }] : []
  })
  for (const generation of silent) if (!snapshot.targets.has(generation)) silent.delete(generation)
  for (const [generation, stop] of ears) {
    if (wanted.some(({ target }) => target.generation === generation)) continue
    stop.abort()
    ears.delete(generation)
  }
  for (const one of wanted) {
    const { generation } = one.target
    if (ears.has(generation)) continue
    const stop = new AbortController()
    ears.set(generation, stop)
    const signal = AbortSignal.any([heeding.signal, stop.signal])
    const run = keepListening({ ...heeding, ...state }, one, signal).finally(() => running.delete(run))
    running.add(run)
  }
}

/** What is known of one that serves and answers. */
function foundOf({ probes }: Heeding, { generation, role }: Target): Finding | undefined {
  return role === 'serving' && probes.probe(generation)?.ok === true ? probes.known(generation) : undefined
}

/** The lists of which a server says that it tells when they change. */
function announced({ capabilities }: Finding): readonly Kind[] {
  return kinds.filter((kind) => {
    const capability = capabilities[kind]
    return isRecord(capability) && capability.listChanged === true
  })
}

interface Listening extends Pick<Finding, 'era'> {
  readonly target: Target
  readonly told: readonly Kind[]
}

/** Lasts until the signal ends it, or the server is found to be silent. */
async function keepListening(heeding: Heeding & State, listening: Listening, signal: AbortSignal): Promise<void> {
  const persisting = { signal, broken: () => undefined }
  const { generation } = listening.target
  await persist(async () => {
    if (listening.era === 'modern') await listenModern(heeding, listening, signal)
    else if ((await listenLegacy(heeding, listening, persisting)) === 'silent') heeding.silent.add(generation)
    return heeding.silent.has(generation) ? 'over' : undefined
  }, persisting)
}

async function listenModern({ upstreams, probes }: Heeding, { target, told }: Listening, signal: AbortSignal) {
  const notifications = Object.fromEntries(told.map((kind) => [`${kind}ListChanged`, true]))
  const params = { notifications, _meta: ownEnvelope }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'gateway', method: 'subscriptions/listen', params })
  const headers = modernHeaders('subscriptions/listen')
  await post(upstreams, { target, method: 'POST', headers, body, signal }, (text) => {
    const message: unknown = JSON.parse(text)
    // What changed while nobody listened was not said.
    if (isRecord(message) && (message.method === 'notifications/subscriptions/acknowledged' || isChange(message)))
      probes.again(target.generation)
  })
}

/** Listens in a session of the gateway's own, and ends it. A server that refuses the stream of a new session has none. */
async function listenLegacy(
  { upstreams, probes }: Heeding,
  { target }: Listening,
  persisting: Persisting,
): Promise<'silent' | undefined> {
  const session = await openSession(upstreams, target, { agent: '', capabilities: {}, headers: probing })
  let isOpened = false
  const answered = (status: number) => {
    if (status >= 300) return
    isOpened = true
    probes.again(target.generation)
  }
  const take = (text: string) => {
    const message: unknown = JSON.parse(text)
    if (isRecord(message) && isChange(message)) probes.again(target.generation)
  }
  try {
    const status = await follow({ ...persisting, upstreams, session, answered, take })
    return !isOpened && status >= 400 && status < 500 ? 'silent' : undefined
  } finally {
    await endPooled(upstreams, session)
  }
}

function isChange({ method }: Readonly<Record<string, unknown>>): boolean {
  return kinds.some((kind) => method === `notifications/${kind}/list_changed`)
}
