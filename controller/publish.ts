import type { Definition } from '#manifests/definition.ts'
import { pollHold, type Report, type Table } from '#manifests/table.ts'
import { createBell } from './bell.ts'
import { createQuestions } from './questions.ts'
import type { Draft } from './routes.ts'

/** The last word of each proxy, and when it came, ms since the epoch. */
export interface Heard {
  readonly report: Report
  readonly at: number
}

/** A proxy that asked for nothing for so long is gone, or as good as that, ms. */
const silence = 3 * pollHold

/** Owns the table: gives revisions, keeps it, answers polls, and knows what each proxy has taken. */
export interface Publisher {
  /** The table last published; undefined before the first. */
  readonly table: Table | undefined
  /** By proxy; who has fallen silent is forgotten. */
  readonly heard: ReadonlyMap<string, Heard>
  /** Publishes what `change` makes of the draft, if that differs; returns the revision that carries it. */
  publish(change: (draft: Draft) => Draft): number
  /** One poll of a proxy: the next table as soon as there is a newer one than it has; undefined after 25 s, or if it is `asked`. */
  poll(report: Report, signal: AbortSignal): Promise<Table | undefined>
  /** What a proxy should define in its next report: generations. */
  asked(proxy: string): readonly string[]
  /** The tools of a generation as a proxy has them; undefined if none says so within `limit` ms. */
  define(generation: string, limit: number, signal: AbortSignal): Promise<readonly Definition[] | undefined>
  /** Resolves at the next publication or report, or after `limit` ms. */
  changed(limit: number, signal: AbortSignal): Promise<void>
}

export interface Keep {
  readTable(): Table | undefined
  writeTable(table: Table): void
}

export function createPublisher(keep: Keep, initial: Draft): Publisher {
  const heard = new Map<string, Heard>()
  const wake = createBell()
  const questions = createQuestions(wake)
  let table = keep.readTable()

  function put(draft: Draft, revision: number): void {
    const next = { ...draft, revision }
    keep.writeTable(next)
    table = next
    wake.ring()
  }

  /** A proxy may have lived through more revisions than a controller that lost its state; it takes only what is newer. */
  function climb(have: number): void {
    if (table !== undefined && have > table.revision) put(table, have + 1)
  }

  return {
    get table() {
      return table
    },
    heard,
    publish(change) {
      const { revision, ...draft } = table ?? { ...initial, revision: 0 }
      const next = change(draft)
      const highest = Math.max(revision, ...[...heard.values()].map(({ report }) => report.have))
      if (table === undefined || JSON.stringify(next) !== JSON.stringify(draft)) put(next, highest + 1)
      return table?.revision ?? 0
    },
    async poll(report, signal) {
      const { definitions = {}, ...said } = report
      hear(heard, said)
      questions.hear(definitions)
      wake.ring()
      climb(report.have)
      const until = Date.now() + pollHold
      const isQuiet = () => (table === undefined || table.revision <= report.have) && !questions.areFor(report.proxy)
      while (isQuiet() && Date.now() < until && !signal.aborted) await wake.next(until - Date.now(), signal)
      return table !== undefined && table.revision > report.have ? table : undefined
    },
    asked: (proxy) => questions.put(proxy),
    define: (generation, limit, signal) => questions.ask(generation, limit, signal),
    changed: (limit, signal) => wake.next(limit, signal),
  }
}

function hear(heard: Map<string, Heard>, report: Report): void {
  const at = Date.now()
  for (const [name, last] of heard) if (at - last.at > silence) heard.delete(name)
  heard.set(report.proxy, { report, at })
}
