import { createHash, randomInt } from 'node:crypto'
import { z } from 'zod'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import { type Fields, fieldsOf, isFields, listOf, numberOf, textOf } from '../fields.ts'
import type { Shelf } from '../shelf.ts'
import { renderLine } from '../text.ts'
import { query } from './lookup.ts'

export function addRollTable(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'roll_table',
    title: 'Roll on a table',
    description: 'A random row of a table. The same seed gives the same row.',
    input: z.strictObject({
      table: query.describe('Name of a table; find one with search and kind "table"'),
      seed: z.union([z.string().max(200), z.number()]).optional(),
    }),
    annotations: { idempotentHint: false },
  }
  addTool(server, tool, ({ table, seed }) => {
    const { catalogue } = shelf.content()
    const filter = { kinds: ['table'] as const, edition: shelf.edition }
    const [entry] = [...catalogue.named(table, filter), ...catalogue.search(table, filter)]
    if (entry === undefined)
      throw new ToolFailure(`no table "${table.slice(0, 80)}"; search with kind "table" lists them`)
    return `${entry.name} (${entry.source}): ${roll(entry.raw, seed === undefined ? undefined : String(seed))}`
  })
}

interface Row {
  readonly low: number
  readonly high: number
  readonly text: string
}

/** The number rolled and its row. */
function roll(table: Fields, seed: string | undefined): string {
  const labels = listOf(table.colLabels).map(renderLine)
  const rows = listOf(table.rows).map((row) => listOf(fieldsOf(row).row ?? row))
  if (rows.length === 0) throw new ToolFailure('this table has no rows')
  const ranged = rows.map((cells) => rangeOf(cells[0]))
  const numbered = ranged.every((range) => range !== undefined)
  const spans: readonly Row[] = rows.map((cells, index) => {
    const [low, high] = ranged[index] ?? [index + 1, index + 1]
    return {
      ...(numbered ? { low, high } : { low: index + 1, high: index + 1 }),
      text: describe(cells, labels, numbered),
    }
  })
  const low = Math.min(...spans.map((row) => row.low))
  const high = Math.max(...spans.map((row) => row.high))
  const number = between(low, high, seed)
  const hit = spans.find((row) => row.low <= number && number <= row.high)
  return `${number} (of ${low}–${high}): ${hit?.text ?? 'nothing'}`
}

/** `3`, `01–05`, `00` for 100, or a cell of its own kind. */
function rangeOf(cell: unknown): readonly [number, number] | undefined {
  const range = fieldsOf(isFields(cell) ? cell.roll : undefined)
  const exact = numberOf(range.exact)
  if (exact !== undefined) return [exact, exact]
  if (isFields(cell)) return pair(numberOf(range.min), numberOf(range.max))
  const [, low, high] = /^\s*(\d{1,4})(?:\s*[-–—]\s*(\d{1,4}))?\s*$/.exec(textOf(cell)) ?? []
  return low === undefined ? undefined : pair(percentile(low), percentile(high ?? low))
}

function pair(low: number | undefined, high: number | undefined): readonly [number, number] | undefined {
  return low === undefined || high === undefined || high < low ? undefined : [low, high]
}

function percentile(digits: string): number {
  return digits === '00' ? 100 : Number(digits)
}

function describe(cells: readonly unknown[], labels: readonly string[], numbered: boolean): string {
  const shown = cells.map(renderLine).slice(numbered ? 1 : 0)
  if (shown.length === 1) return shown[0] ?? ''
  const names = labels.slice(numbered ? 1 : 0)
  return shown.map((text, index) => (names[index] ? `${names[index]}: ${text}` : text)).join('; ')
}

function between(low: number, high: number, seed: string | undefined): number {
  if (seed === undefined) return randomInt(low, high + 1)
  return low + (createHash('sha256').update(seed).digest().readUInt32BE() % (high - low + 1))
}
