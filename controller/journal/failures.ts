import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** Why a generation failed, kept so that it is not tried again until the commit changes. */
export interface Attempt {
  readonly server: string
  readonly spec: string
  readonly commit: string
  readonly reason: string
  /** Last lines of the output of what failed. */
  readonly log: string
}

/** The last failure of each server. */
export interface Failures {
  fail(attempt: Attempt): void
  failures(): readonly Attempt[]
  /** Forgets that a server failed. */
  recover(server: string): void
}

const schema = `create table if not exists failures (
  server text primary key, spec text not null, commit_sha text not null, reason text not null, log text not null) strict;`

const Row = z.object({
  server: z.string(),
  spec: z.string(),
  commit_sha: z.string(),
  reason: z.string(),
  log: z.string(),
})

export function keepFailures(db: DatabaseSync): Failures {
  db.exec(schema)
  const put = db.prepare(
    'insert or replace into failures (server, spec, commit_sha, reason, log) values (?, ?, ?, ?, ?)',
  )
  const all = db.prepare('select server, spec, commit_sha, reason, log from failures')
  const drop = db.prepare('delete from failures where server = ?')
  return {
    fail({ server, spec, commit, reason, log }) {
      put.run(server, spec, commit, reason, log)
    },
    failures: () =>
      all.all().map((row) => {
        const { commit_sha: commit, ...rest } = Row.parse(row)
        return { ...rest, commit }
      }),
    recover(server) {
      drop.run(server)
    },
  }
}
