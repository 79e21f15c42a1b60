import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Budget } from '#manifests/table.ts'

/** Calls of one tool. */
export interface Taking {
  readonly server: string
  readonly tool: string
  readonly count: number
}

export interface NamedBudget extends Budget {
  readonly name: string
}

/** Minutes since the epoch, from the first to the one after the last. */
export interface Period {
  readonly from: number
  readonly to: number
}

/** The calls that the proxies of an instance have taken of all budgets together. */
export interface BudgetStore extends Disposable {
  /** Takes calls in a minute if every budget has them left, else none of them: then the budgets that have not. */
  take(takings: readonly Taking[], budgets: readonly NamedBudget[], minute: number): readonly NamedBudget[]
  /** Undoes what was taken in a minute. */
  giveBack(taking: Taking, minute: number): void
  used(server: string, budget: Budget, minute: number): number
}

const minutes = { minute: 1, hour: 60, day: 24 * 60 } as const satisfies Record<Budget['per'], number>

/** The time that a minute lies in, whole in UTC. */
export function periodOf(per: Budget['per'], minute: number): Period {
  const from = Math.floor(minute / minutes[per]) * minutes[per]
  return { from, to: from + minutes[per] }
}

// Minutes of tools, not budgets and their time: so a budget that gets another limit, time, name or list of tools goes on from
// what was taken, and a clock that jumps forth and back finds each day as it left it.
const schema = `
  CREATE TABLE IF NOT EXISTS taken (
    server TEXT NOT NULL, tool TEXT NOT NULL, minute INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (server, tool, minute)
  ) STRICT, WITHOUT ROWID`
/** Another proxy may be writing, ms. */
const busy = 2_000
/** Minutes with calls that are kept of a tool: a week of calls in each. By number and not by the clock, which may be wrong. */
const mostKept = 7 * 24 * 60

const Sum = z.object({ sum: z.number() })

/** Opens the counts in a file, or in memory where it is `:memory:`. */
export function openBudgetStore(file: string): BudgetStore {
  const database = new DatabaseSync(file, { timeout: busy })
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${schema}`)
  database.exec(`DELETE FROM taken WHERE (server, tool, minute) IN (SELECT server, tool, minute FROM
    (SELECT *, row_number() OVER (PARTITION BY server, tool ORDER BY minute DESC) AS age FROM taken) WHERE age > ${mostKept})`)
  const add = database.prepare(
    `INSERT INTO taken (server, tool, minute, count) VALUES (?, ?, ?, ?)
     ON CONFLICT (server, tool, minute) DO UPDATE SET count = max(0, count + excluded.count)`,
  )
  const sum = database.prepare(
    'SELECT total(count) AS sum FROM taken WHERE server = ? AND tool = ? AND minute >= ? AND minute < ?',
  )
  const used = (server: string, { per, tools }: Budget, minute: number) => {
    const { from, to } = periodOf(per, minute)
    return tools.reduce((all, tool) => all + Sum.parse(sum.get(server, tool, from, to)).sum, 0)
  }
  const isShort = (takings: readonly Taking[], budget: NamedBudget, minute: number) => {
    const own = takings.filter(({ tool }) => budget.tools.includes(tool))
    const wanted = own.reduce((all, { count }) => all + count, 0)
    return own.some(({ server }) => used(server, budget, minute) + wanted > budget.calls)
  }
  const take = (takings: readonly Taking[], budgets: readonly NamedBudget[], minute: number) => {
    const short = budgets.filter((budget) => isShort(takings, budget, minute))
    if (short.length === 0) for (const { server, tool, count } of takings) add.run(server, tool, minute, count)
    return short
  }
  return {
    take: (takings, budgets, minute) => inTransaction(database, () => take(takings, budgets, minute)),
    giveBack: ({ server, tool, count }, minute) => void add.run(server, tool, minute, -count),
    used,
    [Symbol.dispose]: () => database.close(),
  }
}

/** What is read in it holds until it is written: no other proxy writes meanwhile. */
function inTransaction<T>(database: DatabaseSync, act: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const made = act()
    database.exec('COMMIT')
    return made
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
}
