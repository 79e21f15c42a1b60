import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** The last commit of which nothing was held back: what a newer one is compared with, and restrained by. */
export interface Accepted {
  accepted(): string | undefined
  accept(commit: string): void
}

const schema =
  'create table if not exists accepted (one integer primary key check (one = 1), commit_sha text not null) strict;'

const Row = z.object({ commit_sha: z.string() })

export function keepAccepted(db: DatabaseSync): Accepted {
  db.exec(schema)
  const read = db.prepare('select commit_sha from accepted')
  const write = db.prepare('insert or replace into accepted (one, commit_sha) values (1, ?)')
  return {
    accepted: () => Row.optional().parse(read.get())?.commit_sha,
    accept: (commit) => void write.run(commit),
  }
}
