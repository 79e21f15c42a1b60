import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { z } from 'zod'

const schema = `
  CREATE TABLE IF NOT EXISTS tasks (
    entry INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', sent INTEGER NOT NULL, ended INTEGER
  ) STRICT;
  CREATE TABLE IF NOT EXISTS pictures (
    task TEXT NOT NULL, number INTEGER NOT NULL, url TEXT NOT NULL, keeping TEXT NOT NULL DEFAULT 'waiting',
    reason TEXT NOT NULL DEFAULT '', type TEXT, bytes INTEGER, PRIMARY KEY (task, number)
  ) STRICT, WITHOUT ROWID`

/** What is remembered of tasks and pictures, in a file. */
export interface Database {
  /** A statement that gives rows, each read by the schema. */
  readonly rows: <Row>(row: z.ZodType<Row>, sql: string) => (...values: readonly SQLInputValue[]) => readonly Row[]
  readonly change: (sql: string) => (...values: readonly SQLInputValue[]) => void
  readonly close: () => void
}

/** @throws Error with one line when the file is no such database, or cannot be written. */
export function openDatabase(file: string): Database {
  const database = open(file)
  return {
    rows: (row, sql) => {
      const statement = database.prepare(sql)
      return (...values) => statement.all(...values).map((found) => row.parse(found))
    },
    change: (sql) => {
      const statement = database.prepare(sql)
      return (...values) => void statement.run(...values)
    },
    close: () => database.close(),
  }
}

/** An unreadable one stops the server: with an empty one in its place, what was paid would be forgotten. */
function open(file: string): DatabaseSync {
  try {
    const database = new DatabaseSync(file)
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${schema}`)
    return database
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`MIDJOURNEY_STATE_DIR: ${file} cannot be used (${reason}); mend it or move it away`, { cause })
  }
}
