import { type Activity, Unreadable, type Unusable, unusable } from '../record.ts'
import type { Units } from '../settings.ts'
import { type Cells, columnOf, indexOf, readRows, type Table } from '../text/csv.ts'
import { readMoment } from '../text/moment.ts'
import { type Decimal, decimalOf, readDuration, readNumber } from '../text/number.ts'
import type { Zone } from '../zone.ts'
import type { Format } from './format.ts'
import { isInWater, sportOf } from './sport.ts'

/** These stand first, in this order, whatever the language of the account calls them. */
const [type, date, favourite, title, distance, kcal, time, heart, maxHeart] = [0, 1, 2, 3, 4, 5, 6, 7, 8]

const climbs = ['total ascent', 'elev gain', 'anstieg gesamt', 'positiver höhenunterschied', 'ascenso total'].concat([
  'ascension totale',
  'gain d’altitude',
  "gain d'altitude",
  'ascesa totale',
  'totale stijging',
])

/** The list of activities that Garmin Connect gives as CSV: no zone, no units, and numbers as the account's language has them. */
export const garmin: Format = {
  name: 'Garmin Connect',
  holds: ({ table }) => table !== undefined && isGarmin(table),
  read: async function* ({ head: { table }, content, zone, units }) {
    if (table === undefined) throw new Unreadable('no columns of Garmin Connect')
    // Distances have two decimals, whatever the rest of the table leaves open.
    const usual = decimalOf(columnOf(table.samples, distance))
    const decimals = table.columns.map((_, index) => decimalOf(columnOf(table.samples, index), usual))
    const account = { zone, units, decimals, climb: indexOf(table, ...climbs) }
    for await (const cells of readRows(content.text(), table)) yield toActivity(cells, account)
  },
}

function isGarmin(table: Table): boolean {
  if (indexOf(table, 'activity type') === type && indexOf(table, 'favorite', 'favourite') === favourite) return true
  const [row = []] = table.samples
  const looksRight =
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(row[date] ?? '') && /^(true|false)$/.test(row[favourite] ?? '')
  return looksRight && table.columns.length > maxHeart
}

interface Account {
  readonly zone: Zone
  readonly units: Units
  readonly decimals: readonly Decimal[]
  readonly climb: number
}

const metresIn = {
  metric: { road: 1000, water: 1, up: 1 },
  imperial: { road: 1609.344, water: 0.9144, up: 0.3048 },
} as const

function toActivity(cells: Cells, { zone, units, decimals, climb }: Account): Activity | Unusable {
  const number = (index: number) => readNumber(cells[index], decimals[index])
  const wall = readMoment(cells[date])
  const at = wall && zone.instant(wall)
  if (at === undefined || cells.length <= time) return unusable('no date, or a row that is cut')
  const sport = sportOf(cells[type] ?? '')
  const unit = metresIn[units]
  const elapsed = readDuration(cells[time])
  return {
    kind: 'activity',
    ...{ at, sport, name: cells[title] ?? '', moving: elapsed, elapsed },
    metres: scaled(number(distance), isInWater(sport) ? unit.water : unit.road),
    climb: scaled(number(climb), unit.up),
    heart: number(heart),
    maxHeart: number(maxHeart),
    kcal: number(kcal),
  }
}

function scaled(value: number | undefined, unit: number): number | undefined {
  return value === undefined ? undefined : value * unit
}
