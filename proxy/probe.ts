import { setTimeout as sleep } from 'node:timers/promises'
import type { Probe } from '#manifests/table.ts'
import { asRoutine } from './breaker.ts'
import { wayHere } from './hops.ts'
import { type Finding, inquire } from './inquire.ts'
import { isRefused, NotGood } from './not-good.ts'
import { Refusal } from './refusal.ts'
import type { Snapshot, Target } from './table.ts'
import { UpstreamFailed } from './transfer.ts'
import type { Upstreams } from './upstream.ts'

/** What is known of the generations, by asking them again and again. */
export interface Probes {
  /** Starts asking what is new, stops asking what is gone. */
  review(snapshot: Snapshot): void
  probe(generation: string): Probe | undefined
  /** Asks a generation out of turn: it says, or was seen to say, that something changed. */
  again(generation: string): void
  /** What a generation speaks, as far as it is known. */
  known(generation: string): Finding | undefined
  /** An upstream took its credential, which a bad answer may have been about. */
  taken(generation: string): void
  /** The same; asks it if that is not known. Throws if it does not answer. */
  finding(target: Target): Promise<Finding>
}

interface Watch {
  target: Target
  readonly stop: AbortController
  wake: AbortController
  probe: Probe | undefined
  asking: boolean
  finding: Finding | undefined
  /** When the era was found, and when it was last asked, ms since the epoch. */
  foundAt: number
  askedAt: number
  /** Until it is asked out of turn. */
  again?: NodeJS.Timeout
}

const limit = 5_000
/** Characters of a server's own words. */
const mostSaid = 200
const enough = 3
/** Before a question out of turn, ms: what answers everybody differently must not be asked all the time. */
const pause = 200
/** A server elsewhere may learn the newer era, and nothing else would say so. */
const legacyLasts = 3_600_000
/** A new credential, or an agent's call that is answered, ends it early, ms. */
const refusedLasts = 20 * 60_000
/** ms; three good answers make a generation ready, so that `often` is half of what a replacement takes at least. */
const intervals = { often: 400, seldom: 10_000, never: undefined } as const satisfies Record<
  Target['asked'],
  number | undefined
>

/** The longest that a timer takes, ms; ended when it is asked for. */
const forever = 2 ** 31 - 1

/** `changed` is called when a verdict changes. */
export function createProbes(upstreams: Upstreams, changed: () => void, signal: AbortSignal): Probes {
  const watches = new Map<string, Watch>()
  const first = new Map<string, Promise<Finding>>()
  return {
    review: (snapshot) => {
      for (const [generation, watch] of watches)
        if (!snapshot.targets.has(generation) && watches.delete(generation)) end(watch)
      for (const target of snapshot.targets.values()) {
        const known = watches.get(target.generation)
        if (known !== undefined && !startsAgain(known.target, target)) retarget(known, target)
        else watches.set(target.generation, startWatch(target, known, { upstreams, changed, signal }))
      }
    },
    probe: (generation) => watches.get(generation)?.probe,
    again: (generation) => {
      const watch = watches.get(generation)
      if (watch !== undefined) askSoon(watch)
    },
    taken: (generation) => {
      const watch = watches.get(generation)
      if (watch?.probe?.refused && !watch.asking) watch.wake.abort()
    },
    known: (generation) => watches.get(generation)?.finding,
    finding: (target) => {
      const known = watches.get(target.generation)?.finding
      return known === undefined ? firstFinding({ upstreams, signal }, first, target) : Promise.resolve(known)
    },
  }
}

function end(watch: Watch): void {
  watch.stop.abort()
  clearTimeout(watch.again)
}

function askSoon(watch: Watch): void {
  const wait = Math.max(0, watch.askedAt + pause - Date.now())
  watch.again ??= setTimeout(() => {
    delete watch.again
    watch.wake.abort()
  }, wait).unref()
}

/** What has to start again has yet to give its first good answer, whatever it gave before. */
function startsAgain(before: Target, now: Target): boolean {
  return now.asked === 'often' && before.asked !== 'often'
}

function retarget(watch: Watch, target: Target): void {
  const before = watch.target
  watch.target = target
  if (before.asked !== target.asked || before.credential?.value !== target.credential?.value) watch.wake.abort()
}

interface Watching {
  readonly upstreams: Upstreams
  readonly changed: () => void
  readonly signal: AbortSignal
}

/** What is known of the same generation stays so: its content has not changed. */
function startWatch(target: Target, before: Watch | undefined, { upstreams, changed, signal }: Watching): Watch {
  if (before !== undefined) end(before)
  const stop = new AbortController()
  const watch: Watch = {
    target,
    stop,
    wake: new AbortController(),
    probe: undefined,
    asking: false,
    finding: before?.finding,
    foundAt: before?.foundAt ?? 0,
    askedAt: 0,
  }
  void keepAsking(watch, { upstreams, changed, signal: AbortSignal.any([signal, stop.signal]) })
  return watch
}

async function keepAsking(watch: Watch, { upstreams, changed, signal }: Watching): Promise<void> {
  while (!signal.aborted) {
    watch.wake = new AbortController()
    const interval = intervals[watch.target.asked]
    if (interval !== undefined) {
      watch.asking = true
      const { probe: before, finding } = watch
      await askOnce(watch, upstreams, signal)
      watch.asking = false
      const differs = isOther(finding, watch.finding) || verdictChanged(before, watch.probe)
      if (!signal.aborted && differs) changed()
    }
    const woken = AbortSignal.any([signal, watch.wake.signal])
    await sleep(pauseOf(watch) ?? forever, undefined, { signal: woken, ref: false }).catch(() => undefined)
  }
}

/** Whether what it has is other than before. */
function isOther(before: Finding | undefined, after: Finding | undefined): boolean {
  const isNew = after !== undefined && after.definitions !== before?.definitions
  return isNew || JSON.stringify(listedIn(before)) !== JSON.stringify(listedIn(after))
}

function listedIn(finding: Finding | undefined): readonly unknown[] {
  return [finding?.listed, finding?.inventory.listed]
}

/** Who is asked again and again with a credential that it refuses may lock its owner out. */
function pauseOf({ target, probe }: Watch): number | undefined {
  return probe?.refused && target.credential !== undefined ? refusedLasts : intervals[target.asked]
}

async function askOnce(watch: Watch, upstreams: Upstreams, signal: AbortSignal): Promise<void> {
  const known = watch.finding?.era === 'legacy' && Date.now() - watch.foundAt > legacyLasts ? undefined : watch.finding
  const at = Date.now()
  watch.askedAt = at
  try {
    const finding = await inquire(
      asRoutine(upstreams),
      watch.target,
      known,
      AbortSignal.any([signal, AbortSignal.timeout(limit)]),
    )
    if (known === undefined) watch.foundAt = at
    watch.finding = finding
    const good = Math.min(enough, (watch.probe?.good ?? 0) + 1)
    watch.probe = { ok: true, good, at, era: finding.era, tools: [...finding.tools] }
  } catch (error) {
    // It was not asked, so that what is known of it still is.
    if (error instanceof Refusal && error.refusal === 'resting' && watch.probe !== undefined) return
    const refused = isRefused(error)
    if (watch.probe?.ok === false && !refused) watch.finding = undefined
    const said = error instanceof NotGood && error.said !== '' ? { said: quoted(error.said, watch.target) } : {}
    const words = { error: wordsOf(error, watch.target), ...said, ...(refused && { refused }) }
    watch.probe = { ok: false, good: 0, at, ...words }
  }
}

/** A server may repeat what it was sent. */
function quoted(said: string, { credential }: Target): string {
  const sent = credential === undefined ? [] : [credential.value, credential.value.replace(/^\S+ /, '')]
  return sent.reduce((text, secret) => text.replaceAll(secret, '…'), said).slice(0, mostSaid)
}

/** Whoever reads them knows which generation they are about. */
function wordsOf(error: unknown, { origin }: Target): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${limit / 1000} s`
  if (error instanceof UpstreamFailed) return unreached(error.cause, origin)
  return error instanceof Error ? error.message : String(error)
}

function unreached(cause: unknown, origin: string): string {
  const refused = cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
  if (refused) return `nothing listens at ${origin}; a server listens at the HOST and PORT of its environment`
  return `${origin}: ${cause instanceof Error ? cause.message : String(cause)}`
}

function verdictChanged(before: Probe | undefined, after: Probe | undefined): boolean {
  const became = after?.good === enough && before?.good !== enough
  return became || verdictOf(before) !== verdictOf(after)
}

/** A failure's words too: the last ones are what people are told. */
function verdictOf(probe: Probe | undefined): string {
  return JSON.stringify([probe?.ok, probe?.era, probe?.tools, probe?.error])
}

function firstFinding(
  { upstreams, signal }: Pick<Watching, 'upstreams' | 'signal'>,
  first: Map<string, Promise<Finding>>,
  target: Target,
): Promise<Finding> {
  const key = `${target.generation} ${wayHere()}`
  const asked = first.get(key)
  if (asked !== undefined) return asked
  const asking = inquire(upstreams, target, undefined, AbortSignal.any([signal, AbortSignal.timeout(limit)]))
  first.set(key, asking)
  const done = () => void first.delete(key)
  asking.then(done, done)
  return asking
}
