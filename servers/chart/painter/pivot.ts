import type { z } from 'zod'
import type { Cell, spreadsheet } from '../input/table.ts'
import { DrawFailure } from './draw-failure.ts'

type Spreadsheet = z.output<typeof spreadsheet>
type Row = Spreadsheet['data'][number]

const mostColumns = 60

/** What is painted: each column's names from top to bottom, and the first so many columns that head the rows. */
export interface Table {
  readonly columns: readonly (readonly string[])[]
  readonly rows: readonly (readonly (Cell | undefined)[])[]
  readonly sides: number
  readonly numeric: readonly boolean[]
}

/** The rows as they are, their columns in the order that was asked for, else as they first appear. */
export function plain({ data, columns }: Spreadsheet): Table {
  const names = columns ?? namesIn(data)
  mustExist(names, data, 'columns')
  return finished(
    names.map((name) => [name]),
    data.map((row) => names.map((name) => row[name])),
    0,
  )
}

/** One row for each combination of `rows`, one column for each of `columns` and value; numbers that meet are summed. */
export function pivot({ data, rows = [], columns = [], values }: Spreadsheet): Table {
  mustExist(rows, data, 'rows')
  mustExist(columns, data, 'columns')
  const rest = namesIn(data).filter((name) => !rows.includes(name) && !columns.includes(name))
  const summed = values ?? rest
  mustExist(summed, data, 'values')
  const across = groupsOf(data, columns)
  const heads = [...across.values()].flatMap(({ key }) =>
    summed.map((value) => (columns.length === 0 ? [value] : summed.length === 1 ? key : [...key, value])),
  )
  const lines = [...groupsOf(data, rows).values()].map(({ key, members }) => {
    const cells = groupsOf(members, columns)
    const found = [...across.keys()].flatMap((column) =>
      summed.map((value) => total(cells.get(column)?.members ?? [], value)),
    )
    return [...key, ...found]
  })
  return finished([...rows.map((name) => [name]), ...heads], lines, rows.length)
}

interface Group {
  readonly key: readonly string[]
  readonly members: readonly Row[]
}

function groupsOf(data: readonly Row[], names: readonly string[]): ReadonlyMap<string, Group> {
  const keyOf = (row: Row) => names.map((name) => String(row[name] ?? ''))
  const groups = Map.groupBy(data, (row) => JSON.stringify(keyOf(row)))
  return new Map([...groups].map(([id, members]) => [id, { key: members.slice(0, 1).flatMap(keyOf), members }]))
}

function total(rows: readonly Row[], name: string): Cell | undefined {
  const cells = rows.map((row) => row[name]).filter((cell) => cell !== null && cell !== undefined)
  const numbers = cells.map((cell) => (cell === '' ? Number.NaN : Number(cell)))
  if (numbers.length > 0 && !numbers.some(Number.isNaN)) return numbers.reduce((sum, one) => sum + one, 0)
  return cells.length > 1 ? cells.join(', ') : cells[0]
}

function namesIn(data: readonly Row[]): readonly string[] {
  return [...new Set(data.flatMap((row) => Object.keys(row)))]
}

function mustExist(names: readonly string[], data: readonly Row[], where: string): void {
  const known = namesIn(data)
  const strange = names.filter((name) => !known.includes(name))
  if (strange.length > 0)
    throw new DrawFailure(`${where}: no row has ${strange.join(', ')}; there are ${known.join(', ')}`)
}

function finished(columns: Table['columns'], rows: Table['rows'], sides: number): Table {
  if (columns.length === 0) throw new DrawFailure('data: the rows have no columns')
  if (columns.length > mostColumns)
    throw new DrawFailure(`the table would have ${columns.length} columns, more than ${mostColumns}; choose fewer`)
  const numeric = columns.map((_, at) => rows.some((row) => typeof row[at] === 'number'))
  return { columns, rows, sides, numeric }
}
