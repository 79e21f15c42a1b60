import type { Server } from './desired.ts'
import { generationKey, type Host, type ObservedGeneration, type Sight } from './host.ts'
import type { Heard, Publisher } from './publish.ts'

/** How often the host is asked again while proxies have nothing new to say, ms. */
const lookEvery = 1_000

/** The author's fault: the generation runs, but does not answer as a server must. */
export class NotReady extends Error {
  override readonly name = 'NotReady'
}

export interface Witness {
  readonly host: Host
  readonly publisher: Publisher
}

/**
 * Waits until one live proxy has had three good answers of the generation and none has a bad one, of those that came since it
 * was started. Throws `NotReady` when it stops, restarts meanwhile, or is not ready within the server's `start`; that time runs
 * only while a proxy is there to ask.
 */
export async function passGate(
  server: Pick<Server, 'name' | 'start'>,
  spec: string,
  { host, publisher }: Witness,
  signal: AbortSignal,
): Promise<void> {
  const key = generationKey(server.name, spec)
  let left = server.start
  let restarts: number | undefined
  for (;;) {
    const began = Date.now()
    const sight = await host.observe(signal)
    const generation = mustRun(find(sight, server.name, spec), restarts)
    restarts ??= generation.restarts
    const live = liveReports(sight, publisher.heard)
    const verdict = verdictOf(key, live, generation.startedAt)
    if (verdict.kind === 'ready') return
    if (left <= 0) throw new NotReady(`not ready within ${server.start / 1_000} s: ${verdict.because}`)
    await publisher.changed(lookEvery, signal)
    signal.throwIfAborted()
    if (live.length > 0) left -= Date.now() - began
  }
}

/**
 * Waits until every live proxy has taken the table, whatever revision that has by then: one that has lived through more
 * revisions than this controller makes it climb. Without limit: the old generation stays until then.
 */
export async function acknowledged(
  { host, publisher }: Witness,
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

/** Waits until no live proxy has a call or a session on the generation, or until `limit` ms have passed. */
export async function drained(
  key: string,
  limit: number,
  { host, publisher }: Witness,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + limit
  while (Date.now() < until) {
    const live = liveReports(await host.observe(signal), publisher.heard)
    if (live.every(({ report }) => isIdle(report.generations[key]))) return
    await publisher.changed(Math.min(lookEvery, until - Date.now()), signal)
    signal.throwIfAborted()
  }
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

type Verdict = { readonly kind: 'ready' } | { readonly kind: 'pending'; readonly because: string }

/** What the live proxies' probes say together. */
function verdictOf(key: string, live: readonly Heard[], since: number): Verdict {
  if (live.length === 0) return { kind: 'pending', because: 'no proxy is there to ask it' }
  const probes = live.flatMap(({ report }) => report.generations[key]?.probe ?? []).filter(({ at }) => at >= since)
  const bad = probes.find(({ ok }) => !ok)
  if (bad !== undefined) return { kind: 'pending', because: bad.error ?? 'a probe failed' }
  return probes.some(({ good }) => good >= 3) ? { kind: 'ready' } : { kind: 'pending', because: 'no answer yet' }
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
