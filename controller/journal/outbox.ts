import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { Body } from './body.ts'

/** Something that somebody outside is to be told, until it is told or too old. */
export interface Letter {
  /** Who carries it. */
  readonly kind: string
  /** What it is about; of one key only the latest is told. */
  readonly key: string
  readonly body: string
  /** Another one of the same key has another number. */
  readonly serial: number
  /** When it was written, ms since the epoch. */
  readonly first: number
  /** Failed tries. */
  readonly attempts: number
  /** When it is tried again, ms since the epoch. */
  readonly next: number
  /** Why the last try failed; `` before it. */
  readonly trouble: string
}

/** Letters that wait, and what was told last. */
export interface LetterKeep {
  /** Puts a letter in place of one of its key. What waits already, or was told last, is not written again. */
  writeLetter(letter: Pick<Letter, 'kind' | 'key' | 'body'>, now: number): void
  /** The letter of this kind that is due first. */
  nextLetter(kind: string): Letter | undefined
  letters(kind: string): readonly Letter[]
  /** It was told: it does not wait any more, and is remembered. */
  told(letter: Letter, now: number): void
  /** It is not told any more. */
  dropLetter(letter: Letter): void
  postpone(letter: Letter, again: Pick<Letter, 'attempts' | 'next' | 'trouble'>): void
  /** Nothing of this kind is tried before then, ms since the epoch. */
  delayLetters(kind: string, until: number): void
  /** All of this kind is tried now. */
  hurryLetters(kind: string, now: number): void
  /** What was written last under a key, told or not. */
  lastWritten(kind: string, key: string): string | undefined
}

const schema = `
create table if not exists letters (
  serial integer primary key autoincrement, kind text not null, key text not null, body text not null, first integer not null,
  attempts integer not null, next integer not null, trouble text not null, unique (kind, key)) strict;
create table if not exists told (
  kind text not null, key text not null, body text not null, at integer not null, primary key (kind, key)) strict, without rowid;`

/** What was told before is forgotten beyond so many keys: it only spares telling it again. */
const remembered = 5_000

const Row = z.object({
  serial: z.number(),
  kind: z.string(),
  key: z.string(),
  body: z.string(),
  first: z.number(),
  attempts: z.number(),
  next: z.number(),
  trouble: z.string(),
})

export function keepLetters(db: DatabaseSync): LetterKeep {
  db.exec(schema)
  const put = db.prepare(
    "insert or replace into letters (kind, key, body, first, attempts, next, trouble) values (?, ?, ?, ?, 0, ?, '')",
  )
  const waiting = db.prepare('select body from letters where kind = ? and key = ?')
  const before = db.prepare('select body from told where kind = ? and key = ?')
  const first = db.prepare('select * from letters where kind = ? order by next, serial limit 1')
  const all = db.prepare('select * from letters where kind = ? order by serial')
  const drop = db.prepare('delete from letters where serial = ?')
  const keep = db.prepare('insert or replace into told (kind, key, body, at) values (?, ?, ?, ?)')
  const trim = db.prepare('delete from told where at < (select at from told order by at desc limit 1 offset ?)')
  const delay = db.prepare('update letters set attempts = ?, next = ?, trouble = ? where serial = ?')
  const slow = db.prepare('update letters set next = ?2 where kind = ?1 and next < ?2')
  const hurry = db.prepare('update letters set next = ?2 where kind = ?1 and next > ?2')
  const lastWritten = (kind: string, key: string) =>
    Body.optional().parse(waiting.get(kind, key) ?? before.get(kind, key))?.body
  return {
    lastWritten,
    writeLetter({ kind, key, body }, now) {
      if (lastWritten(kind, key) !== body) put.run(kind, key, body, now, now)
    },
    nextLetter: (kind) => Row.optional().parse(first.get(kind)),
    letters: (kind) => all.all(kind).map((row) => Row.parse(row)),
    told({ serial, kind, key, body }, now) {
      keep.run(kind, key, body, now)
      drop.run(serial)
      trim.run(remembered)
    },
    dropLetter: ({ serial }) => void drop.run(serial),
    postpone: ({ serial }, { attempts, next, trouble }) => void delay.run(attempts, next, trouble, serial),
    delayLetters: (kind, until) => void slow.run(kind, until),
    hurryLetters: (kind, now) => void hurry.run(kind, now),
  }
}
