import type { Probe } from '#manifests/table.ts'
import type { Bell } from './bell.ts'
import { lackingTool } from './budget.ts'
import type { Server } from './desired.ts'
import { generationKey, type Host, type ObservedGeneration, type Sight } from './host.ts'
import type { Heard, Publisher } from './publish.ts'

/** How often the host is asked again while proxies have nothing new to say, ms. */
const lookEvery = 1_000

/** The author's fault: the generation runs, but does not answer as a server must. */
export class NotReady extends Error {
  override readonly name = 'NotReady'
  /** The generation's own words, for operators alone. */
  readonly said: string

  constructor(message: string, said = '') {
    super(message)
    this.said = said
  }
}

export interface Witness {
  readonly host: Host
  /** Rings when something on the host may have changed by itself. */
  readonly stir: Bell
  readonly publisher: Publisher
}

/**
 * Waits until one live proxy has had three good answers of the generation, or as many as are said, and none has a bad one, of
 * those that came since it was started; a tool that one of its budgets counts must be among its tools. Throws `NotReady` when it stops, restarts meanwhile, or is not ready within the server's `start`; that time runs
 * only while a proxy is there to ask.
 */
export async function passGate(
  server: Pick<Server, 'name' | 'start' | 'budgets'> & { readonly answers?: number },
  spec: string,
  witness: Witness,
  signal: AbortSignal,
): Promise<void> {
  const { host, publisher } = witness
  const key = generationKey(server.name, spec)
  let left = server.start
  let restarts: number | undefined
  for (;;) {
    const began = Date.now()
    const sight = await host.observe(signal)
    const generation = mustRun(find(sight, server.name, spec), restarts)
    restarts ??= generation.restarts
    const live = liveReports(sight, publisher.heard)
    const verdict = verdictOf(key, live, { since: generation.startedAt, ...server })
    if (verdict.kind === 'ready') return
    if (left <= 0) throw new NotReady(`not ready within ${server.start / 1_000} s: ${verdict.because}`, verdict.said)
    await stirred(witness, lookEvery, signal)
    if (live.length > 0) left -= Date.now() - began
  }
}

/** A bad answer that the next probe does not repeat is none, ms. */
const hiccup = 5_000

/**
 * Watches what has come to serve for `time` ms. Throws `NotReady` as soon as it has stopped or was started again by the host, or
 * once a live proxy's probes of it have been bad for a while.
 */
export async function lasts(
  server: string,
  spec: string,
  time: number,
  witness: Witness & { readonly signal: AbortSignal },
): Promise<void> {
  const { host, publisher, signal } = witness
  const until = Date.now() + time
  let restarts: number | undefined
  let badSince: number | undefined
  while (Date.now() < until) {
    const sight = await host.observe(signal)
    const generation = mustRun(find(sight, server, spec), restarts)
    restarts ??= generation.restarts
    const bad = badProbe(generationKey(server, spec), liveReports(sight, publisher.heard), generation.startedAt)
    badSince = bad === undefined ? undefined : (badSince ?? Date.now())
    if (badSince !== undefined && Date.now() - badSince >= hiccup)
      throw new NotReady(`it no longer answers: ${bad?.error ?? 'a probe failed'}`, bad?.said)
    await stirred(witness, Math.min(lookEvery, until - Date.now()), signal)
  }
}

/** Resolves at the next word of a proxy or the host, or after `limit` ms; rejects when the signal comes first. */
async function stirred({ publisher, stir }: Witness, limit: number, signal: AbortSignal): Promise<void> {
  const either = new AbortController()
  const end = AbortSignal.any([signal, either.signal])
  await Promise.race([publisher.changed(limit, end), stir.next(limit, end)])
  either.abort()
  signal.throwIfAborted()
}

/**
 * Waits until every live proxy has taken the table, whatever revision that has by then: one that has lived through more
 * revisions than this controller makes it climb. Without limit: the old generation stays until then.
 */
export async function acknowledged(
  { host, publisher }: Pick<Witness, 'host' | 'publisher'>,
  options: { readonly say: (doing: string) => void; readonly signal: AbortSignal },
): Promise<void> {
  for (;;) {
    const sight = await host.observe(options.signal)
    const revision = publisher.table?.revision ?? 0
    const behind = behindProxies(sight, publisher.heard, revision)
    if (behind.length === 0) return
    options.say(`waiting for ${behind.join(', ')} to take revision ${revision}`)
    await publisher.changed(lookEvery, options.signal)
    options.signal.throwIfAborted()
  }
}

/**
 * Waits until no live proxy has a call or a session on the generation, or until `limit` ms have passed; false as soon as what took
 * its `place` does not run, for then there are other things to do first.
 */
export async function drained(
  key: string,
  { limit, place }: { readonly limit: number; readonly place?: { server: string; spec: string } | undefined },
  witness: Witness,
  signal: AbortSignal,
): Promise<boolean> {
  const { host, publisher } = witness
  const until = Date.now() + limit
  while (Date.now() < until) {
    const sight = await host.observe(signal)
    if (place !== undefined && find(sight, place.server, place.spec)?.state !== 'running') return false
    const live = liveReports(sight, publisher.heard)
    if (live.every(({ report }) => isIdle(report.generations[key]))) return true
    await stirred(witness, Math.min(lookEvery, until - Date.now()), signal)
  }
  return true
}

function isIdle(report: { readonly calls: number; readonly sessions: number } | undefined): boolean {
  return report === undefined || (report.calls === 0 && report.sessions === 0)
}

export function find(sight: Sight, server: string, spec: string): ObservedGeneration | undefined {
  return sight.generations.find((generation) => generation.server === server && generation.spec === spec)
}

function mustRun(generation: ObservedGeneration | undefined, restarts: number | undefined): ObservedGeneration {
  if (generation === undefined) throw new NotReady('it is gone from the host')
  if (restarts !== undefined && generation.restarts > restarts)
    throw new NotReady('it stopped and was started again by the host')
  if (generation.state === 'exited') throw new NotReady(`it stopped with exit code ${generation.exitCode ?? 'unknown'}`)
  return generation
}

type Verdict =
  | { readonly kind: 'ready' }
  | { readonly kind: 'pending'; readonly because: string; readonly said?: string | undefined }

/** What the live proxies' probes say together. */
function verdictOf(
  key: string,
  live: readonly Heard[],
  { since, answers = 3, budgets }: Pick<Server, 'budgets'> & { readonly since: number; readonly answers?: number },
): Verdict {
  if (live.length === 0) return { kind: 'pending', because: 'no proxy is there to ask it' }
  const probes = probesOf(key, live, since)
  const bad = badProbe(key, live, since)
  if (bad !== undefined) return { kind: 'pending', because: bad.error ?? 'a probe failed', said: bad.said }
  const ready = probes.find(({ good }) => good >= answers)
  if (ready === undefined) return { kind: 'pending', because: 'no answer yet' }
  const lacking = lackingTool(budgets, ready.tools ?? [])
  return lacking === undefined ? { kind: 'ready' } : { kind: 'pending', because: lacking }
}

function probesOf(key: string, live: readonly Heard[], since: number): readonly Probe[] {
  return live.flatMap(({ report }) => report.generations[key]?.probe ?? []).filter(({ at }) => at >= since)
}

function badProbe(key: string, live: readonly Heard[], since: number): Probe | undefined {
  return probesOf(key, live, since).find(({ ok }) => !ok)
}

export function liveReports(sight: Sight, heard: ReadonlyMap<string, Heard>): readonly Heard[] {
  return sight.proxies.filter(({ state }) => state === 'running').flatMap(({ name }) => heard.get(name) ?? [])
}

/** Names of live proxies that have not taken the revision. */
export function behindProxies(sight: Sight, heard: ReadonlyMap<string, Heard>, revision: number): readonly string[] {
  return sight.proxies
    .filter(({ name, state }) => state === 'running' && (heard.get(name)?.report.have ?? -1) < revision)
    .map(({ name }) => name)
}
