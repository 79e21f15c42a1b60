import type { Definition } from '#manifests/definition.ts'
import type { GenerationReport, Probe, Table } from '#manifests/table.ts'
import type { Publisher } from '../../controller/publish.ts'

/** A proxy without agents: takes each table at once, and reports of generations what a test says. */
export interface MemoryProxy {
  readonly table: Table | undefined
  /** All that it has been given. */
  readonly tables: readonly Table[]
  /** What it sees of a generation; everything answers well, and nobody calls, until a test says otherwise. */
  seen: (generation: string) => GenerationReport
  /** What it answers when it is asked for the tools of a generation. */
  defines: (generation: string) => Definition[]
  /** Polls at once, as proxies do when a verdict has changed. */
  speakUp(): void
}

export function probe(more: Partial<Probe> = {}): Probe {
  return { ok: true, good: 3, at: Date.now(), era: 'modern', tools: ['search'], ...more }
}

export function good(): GenerationReport {
  return { calls: 0, sessions: 0, probe: probe() }
}

/** `said` is what the generation itself had to say. */
export function bad(error: string, said?: string): GenerationReport {
  const words = said === undefined ? {} : { said }
  return { calls: 0, sessions: 0, probe: { ok: false, good: 0, at: Date.now(), error, ...words } }
}

/** Polls until the signal ends it; `have` is the revision that it comes with. */
export function runProxy(
  publisher: Publisher,
  signal: AbortSignal,
  { name = 'gateway-proxy', have = 0 }: { readonly name?: string; readonly have?: number } = {},
): MemoryProxy {
  const tables: Table[] = []
  let hurry = new AbortController()
  const proxy: MemoryProxy = {
    tables,
    get table() {
      return tables.at(-1)
    },
    seen: good,
    defines: () => [],
    speakUp: () => hurry.abort(),
  }
  let asks: readonly string[] = []
  const poll = async () => {
    while (!signal.aborted) {
      hurry = new AbortController()
      const generations = Object.fromEntries(generationsOf(proxy.table).map((one) => [one, proxy.seen(one)]))
      const definitions = Object.fromEntries(asks.map((one) => [one, proxy.defines(one)]))
      const report = { proxy: name, have: proxy.table?.revision ?? have, counters: {}, generations, definitions }
      const next = await publisher.poll(report, AbortSignal.any([signal, hurry.signal]))
      if (next !== undefined) tables.push(next)
      asks = next === undefined ? publisher.asked(name) : []
    }
  }
  void poll()
  return proxy
}

function generationsOf(table: Table | undefined): readonly string[] {
  if (table === undefined) return []
  const serving = Object.values(table.servers).filter(({ upstream }) => upstream !== undefined)
  return [...serving, ...table.starting, ...table.draining].map(({ generation }) => generation)
}
