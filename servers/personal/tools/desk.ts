import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import type { Library } from '../library.ts'
import type { Found, Values } from '../store.ts'

/** What every tool works with. */
export interface Desk {
  readonly library: Library
  /** Whether notes may be shown. */
  readonly notes: boolean
}

/** ms that a call waits for the first reading; it answers from what is there then. */
const patience = 20_000

export interface Question<Input> {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly input: z.ZodType<Input>
}

/** Registers a tool that reads; its answer says so while not everything was read yet. */
export function addQuestion<Input>(
  server: McpServer,
  { library }: Desk,
  question: Question<Input>,
  answer: (input: Input) => string,
): void {
  addTool(server, question, async (input, signal) => {
    const isRead = await Promise.race([
      library.settled.then(() => true),
      sleep(patience, false, { signal, ref: false }),
    ])
    const note = '\n\nThe exports are still being read: this may be incomplete.'
    return answer(input) + (isRead ? '' : note)
  })
}

/** Rows of a query, each parsed. */
export function ask<Row>({ library }: Desk, sql: string, values: Values, row: z.ZodType<Row>): readonly Row[] {
  return library.store.all(sql, values).map((found: Found) => row.parse(found))
}

/** @throws ToolFailure where nothing was found. */
export function demandSome<Row>(rows: readonly Row[], what: string): readonly Row[] {
  if (rows.length === 0) throw new ToolFailure(`no ${what}; data_sources lists what there is`)
  return rows
}

const day = z
  .preprocess((given) => (typeof given === 'number' ? String(given) : given), z.string().trim().max(40))
  .optional()

/** First and last day of a question. */
export const span = {
  from: day.describe('First day: YYYY-MM-DD, YYYY-MM, YYYY, or 30d, 8w, 6m, 1y for that long ago'),
  to: day.describe('Last day, included; as from'),
}

export const limit = wholeNumber(1, 200).prefault(20).describe('How many at most')

export const words = z.string().trim().min(1, 'give a name or a part of one').max(200, 'at most 200 characters')

/** A line for what a limit cut off. */
export function more(found: number, shown: number): string {
  return found > shown ? `\n\n${shown} of ${found}; narrow the question, or raise limit.` : ''
}
