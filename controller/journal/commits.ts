import type { DatabaseSync } from 'node:sqlite'
import { type CommitPhase, CommitStatus } from '#manifests/status.ts'
import { Body } from './body.ts'

/** What became of commits. */
export interface History {
  /** Adds the commit as the newest, also where it was known: a branch may go back. */
  begin(status: CommitStatus): void
  /** Replaces what is said of the commit, which stays where it is in the history. */
  record(status: CommitStatus): void
  commit(sha: string): CommitStatus | undefined
  /** The newest commit that is in one of these phases. */
  latest(phases: readonly CommitPhase[]): CommitStatus | undefined
  /** Newest first. */
  history(limit: number): readonly CommitStatus[]
}

const schema = `create table if not exists commits (
  seq integer primary key autoincrement, sha text not null unique, body text not null) strict;`

const remembered = 10_000

export function keepHistory(db: DatabaseSync): History {
  db.exec(schema)
  const begin = db.prepare('insert or replace into commits (sha, body) values (?, ?)')
  const put = db.prepare(
    'insert into commits (sha, body) values (?, ?) on conflict (sha) do update set body = excluded.body',
  )
  const trim = db.prepare('delete from commits where seq <= (select max(seq) from commits) - ?')
  const one = db.prepare('select body from commits where sha = ?')
  const newest = db.prepare('select body from commits order by seq desc limit ?')
  const inPhase = db.prepare(`
    select body from commits where body ->> 'phase' in (select value from json_each(?)) order by seq desc limit 1`)
  const parse = (row: unknown) => CommitStatus.parse(JSON.parse(Body.parse(row).body))
  const parseAny = (row: unknown) => (row === undefined ? undefined : parse(row))
  return {
    begin(status) {
      begin.run(status.commit, JSON.stringify(status))
      trim.run(remembered)
    },
    record: (status) => void put.run(status.commit, JSON.stringify(status)),
    commit: (sha) => parseAny(one.get(sha)),
    latest: (phases) => parseAny(inPhase.get(JSON.stringify(phases))),
    history: (limit) => newest.all(limit).map(parse),
  }
}
