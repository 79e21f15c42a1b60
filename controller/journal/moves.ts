import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Move } from '../step.ts'

/** What was done to servers lately: loops are found by it. */
export interface Moves {
  move(move: Omit<Move, 'at'>): void
  /** Oldest first. */
  moves(): readonly Move[]
  /** Forgets what was done to a server. */
  forgetMoves(server: string): void
}

const schema = `create table if not exists moves (
  server text not null, kind text not null, spec text not null, commit_sha text not null, because text not null,
  at integer not null) strict;`

/** Nothing looks further back, ms. */
const remembered = 15 * 60_000

const Row = z.object({
  server: z.string(),
  kind: z.enum(['roll', 'heal', 'mend']),
  spec: z.string(),
  commit: z.string(),
  because: z.string(),
  at: z.number(),
})

export function keepMoves(db: DatabaseSync): Moves {
  db.exec(schema)
  const put = db.prepare('insert into moves (server, kind, spec, commit_sha, because, at) values (?, ?, ?, ?, ?, ?)')
  const trim = db.prepare('delete from moves where at < ?')
  const all = db.prepare('select server, kind, spec, commit_sha as "commit", because, at from moves order by at')
  const drop = db.prepare('delete from moves where server = ?')
  return {
    move({ server, kind, spec, commit, because }) {
      const now = Date.now()
      put.run(server, kind, spec, commit, because, now)
      trim.run(now - remembered)
    },
    moves: () => all.all().map((row) => Row.parse(row)),
    forgetMoves: (server) => void drop.run(server),
  }
}
