import { type Film, Unreadable, type Unusable, unusable } from '../record.ts'
import { type Cells, indexOf, readRows, type Table } from '../text/csv.ts'
import { readMoment } from '../text/moment.ts'
import { readNumber } from '../text/number.ts'
import { utc } from '../zone.ts'
import type { Format, Head } from './format.ts'

/** The lists of Letterboxd's export; what has the columns of the watched and is named otherwise, as likes are, is none. */
export const letterboxd: Format = {
  name: 'Letterboxd',
  holds: (head) => head.table !== undefined && listOf(head, head.table) !== undefined,
  read: async function* ({ head, content }) {
    const list = head.table && listOf(head, head.table)
    if (head.table === undefined || list === undefined) throw new Unreadable('no columns of Letterboxd')
    const cellsIn = createReader(head.table)
    for await (const cells of readRows(content.text(), head.table)) yield toFilm(list, cellsIn(cells))
  },
}

function listOf({ path }: Head, table: Table): Film['list'] | undefined {
  if (indexOf(table, 'letterboxd uri') < 0 || indexOf(table, 'name') < 0) return undefined
  if (indexOf(table, 'review') >= 0) return 'reviews'
  if (indexOf(table, 'watched date') >= 0) return 'diary'
  if (indexOf(table, 'rating') >= 0) return 'ratings'
  const file = path.split('/').at(-1)?.toLowerCase() ?? ''
  if (file.startsWith('watchlist')) return 'watchlist'
  return file.startsWith('watched') ? 'watched' : undefined
}

type Cell = (column: string) => string

function createReader(table: Table): (cells: Cells) => Cell {
  const places = new Map(table.columns.map((column, index) => [column.toLowerCase(), index]))
  return (cells) => (column) => cells[places.get(column) ?? -1] ?? ''
}

function toFilm(list: Film['list'], cell: Cell): Film | Unusable {
  const wall = readMoment(cell('watched date') || cell('date'))
  const at = wall && utc.instant(wall)
  const name = cell('name')
  if (name === '' || at === undefined) return unusable('no name or date, or a row that is cut')
  return {
    kind: 'film',
    ...{ list, name, day: utc.dayOf(at), tags: cell('tags'), review: cell('review') },
    year: readNumber(cell('year')),
    rating: readNumber(cell('rating')),
    rewatch: cell('rewatch').toLowerCase() === 'yes',
  }
}
