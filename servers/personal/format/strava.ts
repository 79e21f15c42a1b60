import { type Activity, Unreadable, type Unusable, unusable } from '../record.ts'
import { type Cells, columnOf, indexOf, readRows, type Table } from '../text/csv.ts'
import { readMoment } from '../text/moment.ts'
import { type Decimal, decimalOf, readNumber } from '../text/number.ts'
import { utc } from '../zone.ts'
import type { Format } from './format.ts'
import { isInWater, sportOf } from './sport.ts'

/**
 * `activities.csv` of Strava's archive. Its columns are named in the language of the account, but stand in one order, in
 * which the elapsed time and the distance come twice: short, as people read them, and further right in seconds and metres.
 */
export const strava: Format = {
  name: 'Strava',
  holds: ({ table }) => table !== undefined && columnsOf(table) !== undefined,
  read: async function* ({ head: { table }, content }) {
    const columns = table && columnsOf(table)
    if (table === undefined || columns === undefined) throw new Unreadable('no columns of Strava')
    const decimals = table.columns.map((_, index) => decimalOf(columnOf(table.samples, index)))
    for await (const cells of readRows(content.text(), table)) yield toActivity(cells, columns, decimals)
  },
}

interface Columns {
  readonly date: number
  readonly name: number
  readonly type: number
  readonly note: number
  /** As people read them: seconds; kilometres, or metres of a swim. */
  readonly elapsed: number
  readonly distance: number
  /** Exact, in metres; -1 in old archives, as all that follows. */
  readonly metres: number
  readonly moving: number
  readonly climb: number
  readonly maxHeart: number
  readonly heart: number
  readonly kcal: number
}

function columnsOf(table: Table): Columns | undefined {
  const { columns } = table
  const again = (index: number) => columns.indexOf(columns[index] ?? '', index + 1)
  const isEnglish = indexOf(table, 'activity id') === 0 && indexOf(table, 'activity date') === 1
  const [elapsed, metres] = [again(5), again(6)]
  if (!isEnglish && !(elapsed > 6 && metres === elapsed + 2)) return undefined
  const own = (offset: number, ...names: readonly string[]) => {
    const named = columns.findLastIndex((column) => names.includes(column.toLowerCase()))
    return named >= 0 || isEnglish || metres < 0 ? named : metres + offset
  }
  return {
    ...{ date: 1, name: 2, type: 3, note: 4, elapsed: 5, distance: 6, metres },
    moving: own(-1, 'moving time'),
    climb: own(3, 'elevation gain'),
    maxHeart: own(13, 'max heart rate'),
    heart: own(14, 'average heart rate'),
    kcal: own(17, 'calories'),
  }
}

function toActivity(cells: Cells, columns: Columns, decimals: readonly Decimal[]): Activity | Unusable {
  const number = (index: number) => readNumber(cells[index], decimals[index])
  const wall = readMoment(cells[columns.date])
  // Strava writes this one in UTC, without saying so.
  const at = wall && utc.instant(wall)
  if (at === undefined || cells.length <= columns.distance) return unusable('no date, or a row that is cut')
  const sport = sportOf(cells[columns.type] ?? '')
  const distance = number(columns.distance)
  return {
    kind: 'activity',
    ...{ at, sport, name: cells[columns.name] ?? '' },
    metres: number(columns.metres) ?? (distance === undefined || isInWater(sport) ? distance : distance * 1000),
    moving: number(columns.moving),
    elapsed: number(columns.elapsed),
    climb: number(columns.climb),
    heart: number(columns.heart),
    maxHeart: number(columns.maxHeart),
    kcal: number(columns.kcal),
    note: cells[columns.note] ?? '',
  }
}
