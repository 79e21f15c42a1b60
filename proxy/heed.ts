import { setTimeout as sleep } from 'node:timers/promises'
import { modernHeaders, ownEnvelope } from './envelope.ts'
import type { Kind } from './grant.ts'
import type { Finding } from './inquire.ts'
import { isRecord } from './message.ts'
import { post } from './post.ts'
import type { Probes } from './probe.ts'
import type { Snapshot, Target } from './table.ts'
import type { Upstreams } from './upstream.ts'

/** What modern servers say changed, heard the moment that they say it; the others are asked again and again. */
export interface Heeds {
  /** Starts listening to what is new, stops listening to what is gone. */
  review(snapshot: Snapshot): void
  /** A generation said so on a stream of somebody else's. */
  note(generation: string, kind: Kind): void
  /** How often a generation said that a list changed. */
  changes(generation: string, kind: Kind): number
}

export interface Heeding {
  readonly upstreams: Upstreams
  readonly probes: Probes
  /** Called when a list changed. */
  readonly changed: () => void
  readonly signal: AbortSignal
}

interface Ear {
  readonly stop: AbortController
  readonly counts: Record<Kind, number>
}

export const kinds: readonly Kind[] = ['tools', 'prompts', 'resources']
const pauses = [500, 1_000, 2_000, 5_000, 10_000, 30_000]

export function createHeeds(heeding: Heeding): Heeds {
  const ears = new Map<string, Ear>()
  return {
    review: (snapshot) => {
      for (const [generation, { stop }] of ears)
        if (snapshot.targets.get(generation)?.role !== 'serving') {
          stop.abort()
          ears.delete(generation)
        }
      for (const target of snapshot.targets.values()) {
        const found = heeding.probes.known(target.generation)
        if (target.role !== 'serving' || found === undefined || ears.has(target.generation)) continue
        const ear = { stop: new AbortController(), counts: { tools: 0, prompts: 0, resources: 0 } }
        ears.set(target.generation, ear)
        const heard = (kind: Kind) => note(heeding, ears, { generation: target.generation, kind })
        void keepListening(heeding, { target, ear, wanted: announced(found), heard })
      }
    },
    note: (generation, kind) => note(heeding, ears, { generation, kind }),
    changes: (generation, kind) => ears.get(generation)?.counts[kind] ?? 0,
  }
}

/** What a server says by itself is taken at its word; whether other lists changed is seen by looking at them. */
function note(
  { probes, changed }: Heeding,
  ears: ReadonlyMap<string, Ear>,
  { generation, kind }: { readonly generation: string; readonly kind: Kind },
): void {
  const ear = ears.get(generation)
  const found = probes.known(generation)
  const isTold = kind !== 'tools' && found !== undefined && announced(found).includes(kind)
  if (ear === undefined || !isTold) {
    probes.again(generation)
    return
  }
  ear.counts[kind]++
  changed()
}

/** The lists of which a server says that it tells when they change, and is heard. */
export function announced({ era, capabilities }: Finding): readonly Kind[] {
  if (era === 'legacy') return []
  return kinds.filter((kind) => {
    const capability = capabilities[kind]
    return isRecord(capability) && capability.listChanged === true
  })
}

interface Listening {
  readonly target: Target
  readonly ear: Ear
  readonly wanted: readonly Kind[]
  readonly heard: (kind: Kind) => void
}

async function keepListening(heeding: Heeding, listening: Listening): Promise<void> {
  const { ear, wanted } = listening
  if (wanted.length === 0) return
  const signal = AbortSignal.any([heeding.signal, ear.stop.signal])
  for (let round = 0; !signal.aborted; round++) {
    await listenOnce(heeding, listening, { signal, again: round > 0 }).catch(() => undefined)
    const pause = pauses[Math.min(round, pauses.length - 1)]
    await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
  }
}

async function listenOnce(
  { upstreams }: Heeding,
  { target, wanted, heard }: Listening,
  { signal, again }: { readonly signal: AbortSignal; readonly again: boolean },
): Promise<void> {
  const notifications = Object.fromEntries(wanted.map((kind) => [`${kind}ListChanged`, true]))
  const params = { notifications, _meta: ownEnvelope }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'gateway', method: 'subscriptions/listen', params })
  const headers = modernHeaders('subscriptions/listen')
  await post(upstreams, { target, method: 'POST', headers, body, signal }, (text) => {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message)) return
    // What changed while nobody listened was not said.
    if (again && message.method === 'notifications/subscriptions/acknowledged') wanted.forEach(heard)
    for (const kind of wanted) if (message.method === `notifications/${kind}/list_changed`) heard(kind)
  })
}
