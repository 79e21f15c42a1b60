import { Unreadable, type Unusable, unusable, type Weight } from '../record.ts'
import { type Cells, columnOf, indexOf, readRows, type Table } from '../text/csv.ts'
import { readMoment } from '../text/moment.ts'
import { decimalOf, readNumber } from '../text/number.ts'
import type { Zone } from '../zone.ts'
import type { Format, Reading } from './format.ts'

const kgOf = { kg: 1, lb: 0.45359237 } as const

const times = ['datetime', 'date', 'time', 'datum', 'zeit', 'timestamp']
const weights = ['weight', 'gewicht']
const fats = ['fat', 'fett']
const notes = ['comment', 'comments', 'kommentar', 'note']

/** A scale's app: many columns, and 0.0 for what was not measured. Its weights are in kg. */
export const openscale: Format = {
  name: 'openScale',
  holds: ({ table }) => table !== undefined && isOpenScale(table),
  read: (reading) => readWeights(reading, { kg: kgOf.kg, fat: 'percent' }),
}

/** Withings' `weight.csv`: the unit stands in the name of the column, in whatever language that is. */
export const withings: Format = {
  name: 'Withings',
  holds: ({ table }) => table !== undefined && unitOf(table) !== undefined && isMoment(table, 0),
  read: (reading) => {
    const unit = reading.head.table && unitOf(reading.head.table)
    return readWeights(reading, { kg: kgOf[unit ?? 'kg'], fat: 'mass' })
  },
}

/** A table of times and weights, with little else: a log of the gym has weights, too. */
export const plainWeights: Format = {
  name: 'weights',
  holds: ({ table }) => table !== undefined && isPlain(table),
  read: (reading) => readWeights(reading, { kg: reading.units === 'metric' ? kgOf.kg : kgOf.lb, fat: 'percent' }),
}

function isPlain(table: Table): boolean {
  if (indexOf(table, ...times) < 0 || indexOf(table, ...weights) < 0) return false
  const known = [...times, ...weights, ...fats, ...notes, 'water', 'muscle', 'bone', 'bmi']
  return table.columns.every((column) => known.includes(column.toLowerCase()))
}

function isOpenScale(table: Table): boolean {
  return ['datetime', 'weight', 'fat', 'water', 'muscle'].every((name) => indexOf(table, name) >= 0)
}

/** The second column is the weight, the third the mass of fat. */
function unitOf({ columns }: Table): keyof typeof kgOf | undefined {
  const [, unit] = /\((kg|lbs?)\)$/.exec(columns[1] ?? '') ?? []
  return unit === undefined ? undefined : unit === 'kg' ? 'kg' : 'lb'
}

function isMoment({ samples }: Table, index: number): boolean {
  const [first] = columnOf(samples, index)
  return first === undefined || readMoment(first) !== undefined
}

interface Scale {
  /** kg of one unit. */
  readonly kg: number
  /** Whether the column of fat is a share of the weight or has its unit. */
  readonly fat: 'percent' | 'mass'
}

async function* readWeights(
  { head: { table }, content, zone }: Reading,
  scale: Scale,
): AsyncGenerator<Weight | Unusable> {
  if (table === undefined) throw new Unreadable('no columns')
  const columns = scale.fat === 'mass' ? withingsColumns(table) : namedColumns(table)
  // A semicolon between cells is there for the comma in them.
  const comma = table.delimiter === ';' && columnOf(table.samples, columns.weight).some((cell) => cell.includes(','))
  const decimal = comma ? ',' : decimalOf(columnOf(table.samples, columns.weight))
  const number = (cells: Cells, index: number) => readNumber(cells[index], decimal) || undefined
  for await (const cells of readRows(content.text(), table)) {
    const [at, weight, fat] = [
      instantOf(cells[columns.time], zone),
      number(cells, columns.weight),
      number(cells, columns.fat),
    ]
    if (at === undefined || weight === undefined) yield unusable('no time or weight, or a row that is cut')
    else {
      const share = scale.fat === 'percent' || fat === undefined ? fat : (fat / weight) * 100
      yield { kind: 'weight', at, kg: weight * scale.kg, fat: share, note: cells[columns.note] ?? '' }
    }
  }
}

function instantOf(text: string | undefined, zone: Zone): number | undefined {
  const wall = readMoment(text)
  return wall && zone.instant(wall)
}

interface Columns {
  readonly time: number
  readonly weight: number
  readonly fat: number
  readonly note: number
}

function withingsColumns({ columns }: Table): Columns {
  return { time: 0, weight: 1, fat: 2, note: columns.length - 1 }
}

function namedColumns(table: Table): Columns {
  return {
    time: indexOf(table, ...times),
    weight: indexOf(table, ...weights),
    fat: indexOf(table, ...fats),
    note: indexOf(table, ...notes),
  }
}
