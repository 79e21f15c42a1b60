import type { z } from 'zod'
import type { Cell, spreadsheet } from '../input/table.ts'
import { createSheet, shorten, widthOf } from './canvas.ts'
import { written } from './frame.ts'
import { pivot, plain, type Table } from './pivot.ts'

type Spreadsheet = z.output<typeof spreadsheet>
type Context = ReturnType<ReturnType<typeof createSheet>['getContext']>

const font = 13
const padding = 10
const rowHeight = 30

const looks = {
  default: { paper: '#ffffff', ink: '#333333', head: '#e8effb', side: '#f6f8fc', stripe: '#fafbfd', rule: '#d9dfe8' },
  dark: { paper: '#141414', ink: '#e6e6e6', head: '#1f2d45', side: '#1b1f27', stripe: '#191919', rule: '#3a3f47' },
} as const

/** Paints a table on a canvas, shrunk to what has room; a last line says how many rows had none. */
export function drawTable(chart: Spreadsheet, ratio: number): Buffer {
  const table = chart.rows !== undefined || chart.values !== undefined ? pivot(chart) : plain(chart)
  const canvas = createSheet(chart.width * ratio, chart.height * ratio)
  const context = canvas.getContext('2d')
  const look = looks[chart.theme]
  context.fillStyle = look.paper
  context.fillRect(0, 0, canvas.width, canvas.height)
  const wanted = table.columns.map((_, column) => columnWidth(table, column))
  const wide = wanted.reduce((sum, one) => sum + one, 0)
  const scale = Math.min(1.4, Math.max(0.6, chart.width / wide))
  const room = chart.width / scale
  const widths = wanted.map((one) => (one / wide) * room)
  context.scale(ratio * scale, ratio * scale)
  paintRows(context, { table, look, widths, room: Math.floor(chart.height / scale / rowHeight) })
  return canvas.toBuffer('image/png')
}

function columnWidth({ columns, rows }: Table, column: number): number {
  const texts = [columns[column]?.join(' ') ?? '', ...rows.slice(0, 200).map((row) => shown(row[column]))]
  return Math.min(260, Math.max(...texts.map((text) => widthOf(text, font))) + 2 * padding + 4)
}

function shown(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return ''
  return typeof cell === 'number' ? written(cell) : cell.replace(/\s+/g, ' ')
}

interface Painting {
  readonly table: Table
  readonly look: (typeof looks)['default' | 'dark']
  readonly widths: readonly number[]
  /** Rows that have room, those of the head included. */
  readonly room: number
}

function paintRows(context: Context, painting: Painting): void {
  const { table, room } = painting
  const levels = Math.max(1, ...table.columns.map((names) => names.length))
  for (let level = 0; level < levels; level += 1) {
    const names = table.columns.map((column, at) => headAt(table, { at, level, levels, column }))
    paintRow(context, painting, { cells: names, at: level, head: true })
  }
  const fit = room - levels
  const short = table.rows.length > fit
  const rows = table.rows.slice(0, Math.max(0, short ? fit - 1 : fit))
  for (const [index, row] of rows.entries())
    paintRow(context, painting, { cells: row, at: index + levels, head: false })
  if (!short) return
  context.textAlign = 'left'
  context.font = `${font}px sans-serif`
  context.fillStyle = painting.look.ink
  context.fillText(
    `… and ${table.rows.length - rows.length} more rows`,
    padding,
    (levels + rows.length + 0.5) * rowHeight,
  )
}

/** The name in a head's line; what heads several columns stands over the first of them. */
function headAt(
  { columns }: Table,
  { at, level, levels, column }: { at: number; level: number; levels: number; column: readonly string[] },
): string {
  if (column.length === 1) return level === levels - 1 ? (column[0] ?? '') : ''
  const upTo = (names: readonly string[] | undefined) => JSON.stringify(names?.slice(0, level + 1))
  return level < levels - 1 && at > 0 && upTo(columns[at - 1]) === upTo(column) ? '' : (column[level] ?? '')
}

interface Row {
  readonly cells: readonly (Cell | undefined)[]
  readonly at: number
  readonly head: boolean
}

function paintRow(context: Context, { table, look, widths }: Painting, { cells, at, head }: Row): void {
  let x = 0
  for (const [column, width] of widths.entries()) {
    const side = column < table.sides
    const stripe = at % 2 === 0 ? look.stripe : look.paper
    const fill = head ? look.head : side ? look.side : stripe
    const numeric = typeof cells[column] === 'number' || (head && table.numeric[column] === true)
    paintCell(context, shown(cells[column]), { x, y: at * rowHeight, width, fill, look, head, right: numeric && !side })
    x += width
  }
}

interface Place {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly fill: string
  readonly look: Painting['look']
  readonly head: boolean
  readonly right: boolean
}

function paintCell(context: Context, words: string, { x, y, width, fill, look, head, right }: Place): void {
  context.fillStyle = fill
  context.fillRect(x, y, width, rowHeight)
  context.strokeStyle = look.rule
  context.lineWidth = 1
  context.strokeRect(x + 0.5, y + 0.5, width, rowHeight)
  context.font = `${head ? 'bold ' : ''}${font}px sans-serif`
  context.fillStyle = look.ink
  context.textBaseline = 'middle'
  context.textAlign = right ? 'right' : 'left'
  const text = shorten(words, { size: font, width: width - 2 * padding + (head ? -2 : 0) })
  context.fillText(text, right ? x + width - padding : x + padding, y + rowHeight / 2 + 1)
}
