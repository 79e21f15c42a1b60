import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Options, parse } from 'csv-parse'
import { parse as parseWhole } from 'csv-parse/sync'
import { z } from 'zod'
import { Unreadable } from '../record.ts'

/** The beginning of a table: what tells one export from another. */
export interface Table {
  readonly delimiter: string
  readonly columns: readonly string[]
  /** The first rows. */
  readonly samples: readonly Cells[]
}

export type Cells = readonly string[]

const Cells = z.array(z.string())
const sampled = 100

const options = (delimiter: string): Options => ({
  delimiter,
  bom: true,
  relax_column_count: true,
  skip_empty_lines: true,
  max_record_size: 1_000_000,
})

/** The columns and first rows of a text that may be cut anywhere; undefined where its first line has no columns. */
export function readTable(text: string): Table | undefined {
  const [first = ''] = text.split(/\r?\n|\r/, 1)
  const delimiter = [',', ';', '\t'].toSorted((a, b) => first.split(b).length - first.split(a).length)[0] ?? ','
  if (!first.includes(delimiter)) return undefined
  const rows: Cells[] = []
  try {
    parseWhole(text, {
      ...options(delimiter),
      to: sampled,
      on_record: (record: unknown) => {
        rows.push(Cells.parse(record))
        return null
      },
    })
  } catch {
    // Cut within quotes: what came before is there.
  }
  const [columns, ...samples] = rows
  return columns === undefined ? undefined : { delimiter, columns: columns.map((name) => name.trim()), samples }
}

/** The rows below the columns, each as its cells. */
export async function* readRows(text: AsyncIterable<string>, { delimiter }: Table): AsyncGenerator<Cells> {
  const parser = parse({ ...options(delimiter), from: 2 })
  const fed = pipeline(Readable.from(text), parser)
  // Who reads the parser sees the same error.
  fed.catch(() => {})
  try {
    for await (const record of parser) yield Cells.parse(record)
    await fed
  } catch (error) {
    throw isOfParser(error) ? new Unreadable(`not a whole table: ${error.message}`, { cause: error }) : error
  } finally {
    parser.destroy()
  }
}

function isOfParser(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('CSV_')
}

/** The cells of one column. */
export function columnOf(rows: readonly Cells[], index: number): readonly string[] {
  return rows.map((cells) => cells[index] ?? '')
}

/** Where a column of one of these names stands, whatever their case; -1 where there is none. */
export function indexOf({ columns }: Table, ...names: readonly string[]): number {
  return columns.findIndex((column) => names.includes(column.toLowerCase()))
}
