import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/**
 * Who must act: the author of a build that fails, of a server that does not answer as one, of one that did not last (`rolled-back`)
 * or ends again and again, of a controller that would change more than itself (`refused`); nobody yet for what may pass (`build-transient`, `odd`).
 */
export const FailureKind = z.enum([
  'build',
  'build-transient',
  'unhealthy',
  'odd',
  'rolled-back',
  'crash-loop',
  'loop',
  'refused',
])
export type FailureKind = z.infer<typeof FailureKind>

/** Why a generation failed, kept so that it is not tried again in vain. */
export interface Attempt {
  readonly server: string
  readonly spec: string
  readonly commit: string
  readonly kind: FailureKind
  readonly reason: string
  /** Last lines of the output of what failed. */
  readonly log: string
  /** How often this very generation has failed in a row. */
  readonly attempts: number
  /** ms since the epoch */
  readonly at: number
}

/** The last failure of each server. */
export interface Failures {
  fail(attempt: Omit<Attempt, 'attempts' | 'at'>): void
  failures(): readonly Attempt[]
  /** Forgets that a server failed. */
  recover(server: string): void
}

const schema = `create table if not exists failed (
  server text primary key, spec text not null, commit_sha text not null, kind text not null, reason text not null,
  log text not null, attempts integer not null, at integer not null) strict;`

const Row = z.object({
  server: z.string(),
  spec: z.string(),
  commit: z.string(),
  kind: FailureKind,
  reason: z.string(),
  log: z.string(),
  attempts: z.number(),
  at: z.number(),
})

export function keepFailures(db: DatabaseSync): Failures {
  db.exec(schema)
  const put = db.prepare(`insert into failed (server, spec, commit_sha, kind, reason, log, attempts, at)
    values (?, ?, ?, ?, ?, ?, 1, ?) on conflict (server) do update set
    attempts = case when failed.spec = excluded.spec then failed.attempts + 1 else 1 end, spec = excluded.spec,
    commit_sha = excluded.commit_sha, kind = excluded.kind, reason = excluded.reason, log = excluded.log, at = excluded.at`)
  const all = db.prepare('select server, spec, commit_sha as "commit", kind, reason, log, attempts, at from failed')
  const drop = db.prepare('delete from failed where server = ?')
  return {
    fail({ server, spec, commit, kind, reason, log }) {
      put.run(server, spec, commit, kind, reason, log, Date.now())
    },
    failures: () => all.all().map((row) => Row.parse(row)),
    recover: (server) => void drop.run(server),
  }
}
