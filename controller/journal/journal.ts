import { chmodSync, closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Accepted, keepAccepted } from './accepted.ts'
import { type Approvals, keepApprovals } from './approvals.ts'
import { type History, keepHistory } from './commits.ts'
import { createCover } from './cover.ts'
import { type DeliveryKeep, keepDeliveries } from './deliveries.ts'
import { type Failures, keepFailures } from './failures.ts'
import { keepOrigins, type Origins } from './generations.ts'
import { type IntentKeep, keepIntents } from './intents.ts'
import { keepMoves, type Moves } from './moves.ts'
import { keepNotices, type NoticeKeep } from './notices.ts'
import { keepLetters, type LetterKeep } from './outbox.ts'
import { keepPulls, type PullKeep } from './pulls.ts'
import { keepTable, type TableKeep } from './table.ts'

/** Memory: history, failures, what generations were made from, the last table. Nothing is wrong without it. */
export interface Journal
  extends TableKeep,
    History,
    Failures,
    Origins,
    Moves,
    Accepted,
    LetterKeep,
    DeliveryKeep,
    PullKeep,
    Approvals,
    IntentKeep,
    NoticeKeep,
    Disposable {}

/**
 * Opens `journal.db` in the state folder, made on first use, for its owner alone: it has the last words of what failed. Throws one
 * line for a file that is damaged. `keys` is the folder of the key that it was written with, where it is a copy.
 */
export function openJournal(state: string, keys = state): Journal {
  const file = join(state, 'journal.db')
  try {
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
    const db = new DatabaseSync(file)
    db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma busy_timeout = 5000;')
    return {
      ...keepTable(db, createCover(keys)),
      ...keepHistory(db),
      ...keepFailures(db),
      ...keepOrigins(db),
      ...keepMoves(db),
      ...keepAccepted(db),
      ...keepLetters(db),
      ...keepDeliveries(db),
      ...keepPulls(db),
      ...keepApprovals(db),
      ...keepIntents(db),
      ...keepNotices(db),
      [Symbol.dispose]: () => db.close(),
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const advice = 'move it and what begins with its name away: it is only memory, and what runs goes on'
    throw new Error(`${file} cannot be read (${reason}); ${advice}`, { cause })
  }
}
