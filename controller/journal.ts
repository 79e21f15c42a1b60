import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { type CommitPhase, CommitStatus } from '#manifests/status.ts'
import { Table } from '#manifests/table.ts'
import type { Parts } from './generation.ts'

/** Why a generation failed, kept so that it is not tried again until the commit changes. */
export interface Attempt {
  readonly server: string
  readonly spec: string
  readonly commit: string
  readonly reason: string
  /** Last lines of the output of what failed. */
  readonly log: string
}

/** Memory: history, failures, what generations were made from, the last table. Nothing is wrong without it. */
export interface Journal extends Disposable {
  readTable(): Table | undefined
  writeTable(table: Table): void
  /** Adds the commit as the newest, also where it was known: a branch may go back. */
  begin(status: CommitStatus): void
  /** Replaces what is said of the commit, which stays where it is in the history. */
  record(status: CommitStatus): void
  commit(sha: string): CommitStatus | undefined
  /** The newest commit that is in one of these phases. */
  latest(phases: readonly CommitPhase[]): CommitStatus | undefined
  /** Newest first. */
  history(limit: number): readonly CommitStatus[]
  fail(attempt: Attempt): void
  failures(): readonly Attempt[]
  /** Forgets that a server failed. */
  recover(server: string): void
  remember(spec: string, parts: Parts): void
  /** What generations of these specs were made from. */
  known(specs: readonly string[]): ReadonlyMap<string, Parts>
}

const schema = `
  create table if not exists table_now (one integer primary key check (one = 1), body text not null) strict;
  create table if not exists commits (
    seq integer primary key autoincrement, sha text not null unique, body text not null) strict;
  create table if not exists failures (
    server text primary key, spec text not null, commit_sha text not null, reason text not null, log text not null) strict;
  create table if not exists generations (spec text primary key, parts text not null, at integer not null) strict;
`

/** Specs older than the last thousand are forgotten: they only explain what changed. */
const remembered = 1_000
const rememberedCommits = 10_000

const PartsText = z.object({
  image: z.string(),
  files: z.record(z.string(), z.string()),
  settings: z.record(z.string(), z.string()),
  secrets: z.string(),
})
const Body = z.object({ body: z.string() })
const FailureRow = z.object({
  server: z.string(),
  spec: z.string(),
  commit_sha: z.string(),
  reason: z.string(),
  log: z.string(),
})
const GenerationRow = z.object({ spec: z.string(), parts: z.string() })

/** Opens `journal.db` in the state folder, made on first use. Throws one line for a file that is damaged. */
export function openJournal(state: string): Journal {
  const db = openDatabase(join(state, 'journal.db'))
  return {
    ...tableIn(db),
    ...commitsIn(db),
    ...failuresIn(db),
    ...generationsIn(db),
    [Symbol.dispose]: () => db.close(),
  }
}

function openDatabase(file: string): DatabaseSync {
  try {
    const db = new DatabaseSync(file)
    db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma busy_timeout = 5000;')
    db.exec(schema)
    return db
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const advice = 'move it and what begins with its name away: it is only memory, and what runs goes on'
    throw new Error(`${file} cannot be read (${reason}); ${advice}`, { cause })
  }
}

function tableIn(db: DatabaseSync): Pick<Journal, 'readTable' | 'writeTable'> {
  const read = db.prepare('select body from table_now')
  const write = db.prepare('insert or replace into table_now (one, body) values (1, ?)')
  return {
    readTable() {
      const row = read.get()
      return row === undefined ? undefined : Table.parse(JSON.parse(Body.parse(row).body))
    },
    writeTable(table) {
      write.run(JSON.stringify(table))
    },
  }
}

function commitsIn(db: DatabaseSync): Pick<Journal, 'begin' | 'record' | 'commit' | 'latest' | 'history'> {
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
      trim.run(rememberedCommits)
    },
    record: (status) => void put.run(status.commit, JSON.stringify(status)),
    commit: (sha) => parseAny(one.get(sha)),
    latest: (phases) => parseAny(inPhase.get(JSON.stringify(phases))),
    history: (limit) => newest.all(limit).map(parse),
  }
}

function failuresIn(db: DatabaseSync): Pick<Journal, 'fail' | 'failures' | 'recover'> {
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
        const { commit_sha: commit, ...rest } = FailureRow.parse(row)
        return { ...rest, commit }
      }),
    recover(server) {
      drop.run(server)
    },
  }
}

function generationsIn(db: DatabaseSync): Pick<Journal, 'remember' | 'known'> {
  const put = db.prepare('insert or replace into generations (spec, parts, at) values (?, ?, ?)')
  const trim = db.prepare(
    'delete from generations where spec not in (select spec from generations order by at desc limit ?)',
  )
  const some = db.prepare('select spec, parts from generations where spec in (select value from json_each(?))')
  return {
    remember(spec, parts) {
      put.run(spec, JSON.stringify(parts), Date.now())
      trim.run(remembered)
    },
    known: (specs) =>
      new Map(
        some.all(JSON.stringify(specs)).map((row) => {
          const { spec, parts } = GenerationRow.parse(row)
          return [spec, PartsText.parse(JSON.parse(parts))]
        }),
      ),
  }
}
