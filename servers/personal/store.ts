import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { Activity, Film, Listen, Row, Weight } from './record.ts'
import { leastSeconds, recount, schema, type TableName, tableNames } from './schema.ts'
import { fold } from './text/fold.ts'
import type { Zone } from './zone.ts'

export type Values = Readonly<Record<string, SQLInputValue>>
export type Found = Readonly<Record<string, unknown>>

/** All rows of all files, in memory. */
export interface Store {
  /** Rows of a query with named parameters. */
  readonly all: (sql: string, values?: Values) => readonly Found[]
  /** Keeps a row aside until its file is published. */
  readonly stage: (file: number, source: string, row: Row) => void
  /** What was staged takes the place of what the file held before, at once. */
  readonly publish: (file: number) => void
  readonly discard: () => void
  readonly remove: (file: number) => void
  /** Finds out anew which plays count, if any came or went; after all that changed in one go. */
  readonly recount: () => void
  readonly close: () => void
}

/** Who tells most of a play, or of an activity, comes first. */
const ranks = [
  'Spotify (extended)',
  'ListenBrainz',
  'Last.fm',
  'Spotify',
  'Strava',
  'Garmin Connect',
  'FIT',
  'Apple Health',
]

export function openStore(zone: Zone): Store {
  const database = new DatabaseSync(':memory:')
  database.exec(schema)
  const insert = openInserts(database, zone)
  const each = (sql: (table: TableName) => string) => tableNames.map(sql).join(';')
  const holds = database.prepare('SELECT EXISTS (SELECT 1 FROM main.listen WHERE file = ?) AS some')
  /** Whether plays came or went since they were counted. */
  let isStale = false
  const discard = () => database.exec(each((table) => `DELETE FROM stage.${table}`))
  const remove = (file: number) => {
    isStale ||= holds.get(file)?.some === 1
    database.exec(each((table) => `DELETE FROM main.${table} WHERE file = ${file}`))
  }
  return {
    all: (sql, values = {}) => database.prepare(sql).all({ ...values }),
    stage: insert,
    publish: (file) => {
      database.exec('BEGIN')
      remove(file)
      database.exec(each((table) => `INSERT INTO main.${table} SELECT * FROM stage.${table}`))
      database.exec('COMMIT')
      isStale ||= holds.get(file)?.some === 1
      discard()
    },
    discard,
    remove,
    recount: () => {
      if (isStale) database.exec(recount)
      isStale = false
    },
    close: () => database.close(),
  }
}

type Insert = (file: number, source: string, row: Row) => void

function openInserts(database: DatabaseSync, zone: Zone): Insert {
  const columns = (count: number) => Array.from({ length: count }, () => '?').join(', ')
  const into = (table: TableName, count: number) =>
    database.prepare(`INSERT INTO stage.${table} VALUES (${columns(count)})`)
  const song = openSongs(database)
  const statements = {
    listen: into('listen', 9),
    activity: into('activity', 15),
    film: into('film', 10),
    game: into('game', 6),
    weight: into('weight', 7),
  }
  const valuesOf = (row: Row, source: string): readonly SQLInputValue[] => {
    switch (row.kind) {
      case 'listen':
        return [
          row.at,
          zone.dayOf(row.at),
          ...song(row),
          row.seconds ?? null,
          source,
          ranks.indexOf(source),
          isWhole(row),
        ]
      case 'activity':
        return [row.at, zone.dayOf(row.at), ...activityValues(row), source, ranks.indexOf(source)]
      case 'film':
        return filmValues(row)
      case 'game':
        return [row.appid, row.name, row.minutes, row.recent, row.last ?? null]
      case 'weight':
        return [row.at, zone.dayOf(row.at), ...weightValues(row), source]
      default:
        return row satisfies never
    }
  }
  return (file, source, row) => void statements[row.kind].run(file, ...valuesOf(row, source))
}

/** Until it is found out who else tells of it, a play counts if it lasted long enough. */
function isWhole({ seconds = leastSeconds }: Listen): number {
  return Number(seconds >= leastSeconds)
}

function activityValues(activity: Activity): readonly SQLInputValue[] {
  const { sport, name, metres, moving, elapsed, climb, heart, maxHeart, kcal, note = '' } = activity
  const numbers = [metres, moving, elapsed, climb, heart, maxHeart, kcal].map((value) => value ?? null)
  return [sport, name, ...numbers, note]
}

function filmValues({ list, name, year, day, rating, rewatch, tags, review }: Film): readonly SQLInputValue[] {
  return [list, fold(name), name, year ?? null, day, rating ?? null, Number(rewatch), tags, review]
}

function weightValues({ kg, fat, note }: Weight): readonly SQLInputValue[] {
  return [kg, fat ?? null, note]
}

/** The ids of a play's song and of its track, which may be on several albums; made when it is first heard of. */
function openSongs(database: DatabaseSync): (listen: Listen) => readonly [number, number] {
  const add = database.prepare('INSERT INTO song VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)')
  const find = database.prepare('SELECT id, track FROM song WHERE artist = ? AND title = ? AND album = ?')
  const findTrack = database.prepare('SELECT track FROM song WHERE artist_key = ? AND track_key = ? LIMIT 1')
  const newest = database.prepare('SELECT coalesce(max(track), 0) AS track FROM song')
  return ({ artist, title, album }) => {
    const found = find.get(artist, title, album)
    if (found !== undefined) return [Number(found.id), Number(found.track)]
    const keys = [fold(artist), fold(title)] as const
    const track = Number(findTrack.get(...keys)?.track ?? Number(newest.get()?.track) + 1)
    return [Number(add.run(artist, title, album, ...keys, fold(album), track).lastInsertRowid), track]
  }
}
