import type { BudgetUse } from '#manifests/table.ts'
import { type BudgetStore, type NamedBudget, periodOf } from './budget-store.ts'
import type { Message } from './message.ts'
import { Refusal } from './refusal.ts'
import { type Call, Spending } from './spending.ts'
import type { Snapshot } from './table.ts'

/** The budgets of all servers. */
export interface Budgets {
  /** Looks at the budgets of a new table. */
  review(snapshot: Snapshot): void
  /**
   * Takes the calls among some messages for one server, all or none, before they are sent; undefined where no budget counts them.
   * `named` is the tool where the server calls it otherwise than the message. Throws a `Refusal` with the time at which it comes back.
   */
  reserve(server: string, messages: readonly Message[], named?: string): Spending | undefined
  /** What is taken of each budget now; undefined where there is none. */
  uses(): Readonly<Record<string, Record<string, BudgetUse>>> | undefined
}

/** Budgets by the tools that they count. */
type Counted = ReadonlyMap<string, readonly NamedBudget[]>

const minuteMs = 60_000

/** `changed` is called when something was taken or given back; `now` is in ms since the epoch. */
export function createBudgets(store: BudgetStore, changed: () => void, now: () => number = Date.now): Budgets {
  const servers = new Map<string, Counted>()
  const minuteOf = () => Math.floor(now() / minuteMs)
  return {
    review: (snapshot) => {
      servers.clear()
      for (const [server, { budgets }] of snapshot.servers)
        if (budgets !== undefined)
          servers.set(server, indexed(Object.entries(budgets).map(([name, budget]) => ({ name, ...budget }))))
    },
    reserve: (server, messages, named) => {
      const counted = servers.get(server)
      if (counted === undefined) return undefined
      const calls = callsOf(messages, named).filter(({ tool }) => counted.has(tool))
      return calls.length === 0 ? undefined : take({ store, changed, counted, minute: minuteOf() }, server, calls)
    },
    uses: () => {
      if (servers.size === 0) return undefined
      const minute = minuteOf()
      const read = () =>
        [...servers].map(([server, counted]) => [server, usesOf(store, server, counted, minute)] as const)
      const uses = ifPossible(read)
      return uses && Object.fromEntries(uses)
    },
  }
}

function indexed(budgets: readonly NamedBudget[]): Counted {
  const tools = new Set(budgets.flatMap((budget) => budget.tools))
  return new Map([...tools].map((tool) => [tool, budgets.filter((budget) => budget.tools.includes(tool))]))
}

/** A notification counts too: nothing says that a server does not do what it asks for. */
function callsOf(messages: readonly Message[], named: string | undefined): readonly Call[] {
  return messages
    .filter(({ method }) => method === 'tools/call')
    .map(({ id, params }) => ({ id, tool: named ?? String(params.name) }))
}

interface Place {
  readonly store: BudgetStore
  readonly changed: () => void
  readonly counted: Counted
  readonly minute: number
}

function take({ store, changed, counted, minute }: Place, server: string, calls: readonly Call[]): Spending {
  const counts = Map.groupBy(calls, ({ tool }) => tool)
  const takings = [...counts].map(([tool, own]) => ({ server, tool, count: own.length }))
  const budgets = new Set(takings.flatMap(({ tool }) => counted.get(tool) ?? []))
  const short = attempt(server, () => store.take(takings, [...budgets], minute))
  if (short.length > 0) throw refused(server, short, minute)
  changed()
  return new Spending(calls, ({ tool }) => {
    // One that cannot be given back stays taken; the call itself is not worse for it.
    ifPossible(() => store.giveBack({ server, tool, count: 1 }, minute))
    changed()
  })
}

function ifPossible<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}

/** What cannot be counted is not sent. */
function attempt<T>(server: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    throw new Refusal('uncounted', { server }, { cause })
  }
}

/** The one of several that comes back last is what has to be waited for. */
function refused(server: string, short: readonly NamedBudget[], minute: number): Refusal {
  const ends = short.map((budget) => ({ budget, to: periodOf(budget.per, minute).to }))
  const [last] = ends.toSorted((a, b) => b.to - a.to)
  if (last === undefined) return new Refusal('internal')
  const { name, calls, per, tools } = last.budget
  const at = timeOf(last.to)
  const data = { budget: name, tools, calls, per, resets: at }
  return new Refusal('budget', { server, budget: name, calls: callsIn(calls, per), at }, { data })
}

function callsIn(calls: number, per: string): string {
  return `${calls} ${calls === 1 ? 'call' : 'calls'} per ${per}`
}

function timeOf(minute: number): string {
  return new Date(minute * minuteMs).toISOString().replace('.000Z', 'Z')
}

function usesOf(store: BudgetStore, server: string, counted: Counted, minute: number): Record<string, BudgetUse> {
  const budgets = new Set([...counted.values()].flat())
  return Object.fromEntries(
    [...budgets].map((budget) => {
      const { name, calls, per } = budget
      const resets = periodOf(per, minute).to * minuteMs
      return [name, { used: store.used(server, budget, minute), calls, per, resets }]
    }),
  )
}
