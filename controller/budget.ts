import type { ServerStatus } from '#manifests/status.ts'
import type { Budget } from '#manifests/table.ts'
import { suggestion } from './compile/nearest.ts'
import type { Heard } from './publish.ts'

type Budgets = Readonly<Record<string, Budget>>

/** What is wrong with budgets of a server that has these tools, in words; undefined if nothing is. A typo would count nothing. */
export function lackingTool(budgets: Budgets | undefined, tools: readonly string[]): string | undefined {
  for (const [name, budget] of Object.entries(budgets ?? {})) {
    const lacking = budget.tools.find((tool) => !tools.includes(tool))
    if (lacking !== undefined)
      return `its budget "${name}" counts the tool "${lacking}", which it does not have${suggestion(lacking, tools)}`
  }
  return undefined
}

/** What has been taken of a server's budgets, by the last word of any proxy: they count together. */
export function budgetsOf(server: string, heard: readonly Heard[]): Pick<ServerStatus, 'budgets'> {
  const last = heard.toSorted((a, b) => b.at - a.at).find(({ report }) => report.budgets?.[server] !== undefined)
  const budgets = last?.report.budgets?.[server]
  if (budgets === undefined) return {}
  const shown = Object.entries(budgets).map(
    ([name, use]) => [name, { ...use, resets: new Date(use.resets).toISOString() }] as const,
  )
  return { budgets: Object.fromEntries(shown) }
}

/** A line for people: `imagine: 1 of 2 calls per day taken, anew at 2030-01-02T00:00:00.000Z`. */
export function describeBudgets({ budgets = {} }: Pick<ServerStatus, 'budgets'>): readonly string[] {
  return Object.entries(budgets).map(
    ([name, { used, calls, per, resets }]) => `${name}: ${used} of ${calls} calls per ${per} taken, anew at ${resets}`,
  )
}
