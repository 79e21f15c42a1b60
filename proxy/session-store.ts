import { DatabaseSync } from 'node:sqlite'
import type { Logger } from 'pino'
import { z } from 'zod'

/** A legacy session as the proxies of an instance remember it, so that it outlives each of them. */
const StoredSession = z.object({
  id: z.string(),
  agent: z.string(),
  /** Whose session it is; null where it is the gateway's own. */
  server: z.string().nullable(),
  /** What its kind of session needs beside, as JSON. */
  content: z.string(),
  /** ms since the epoch */
  usedAt: z.number(),
})
export type StoredSession = z.infer<typeof StoredSession>

export interface SessionStore extends Disposable {
  /** Writes one anew, or what became of it. */
  save(session: StoredSession): void
  find(id: string): StoredSession | undefined
  /** Remembers when each was used. */
  touch(used: readonly Pick<StoredSession, 'id' | 'usedAt'>[]): void
  drop(ids: readonly string[]): void
  /** Forgets those that nobody used since. */
  dropOlder(usedAt: number): void
}

const schema = `
  CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, agent TEXT NOT NULL, server TEXT, content TEXT NOT NULL, usedAt INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`
/** Another proxy may be writing, ms. */
const busy = 2_000

/** Opens the sessions in a file, or in memory where it is `:memory:`. */
export function openSessionStore(file: string): SessionStore {
  const database = new DatabaseSync(file, { timeout: busy })
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${schema}`)
  const save = database.prepare(
    `INSERT INTO session (id, agent, server, content, usedAt) VALUES (:id, :agent, :server, :content, :usedAt)
     ON CONFLICT (id) DO UPDATE SET content = :content, usedAt = :usedAt`,
  )
  const find = database.prepare('SELECT id, agent, server, content, usedAt FROM session WHERE id = ?')
  // One statement for all: each would be a transaction of its own, and calls wait meanwhile.
  const touch = database.prepare(
    'UPDATE session SET usedAt = used.value ->> 1 FROM json_each(?) AS used WHERE session.id = used.value ->> 0',
  )
  const drop = database.prepare('DELETE FROM session WHERE id IN (SELECT value FROM json_each(?))')
  const dropOlder = database.prepare('DELETE FROM session WHERE usedAt < ?')
  return {
    save: (session) => void save.run({ ...session }),
    find: (id) => {
      const row = find.get(id)
      return row === undefined ? undefined : StoredSession.parse(row)
    },
    touch: (used) => {
      if (used.length > 0) touch.run(JSON.stringify(used.map(({ id, usedAt }) => [id, usedAt])))
    },
    drop: (ids) => {
      if (ids.length > 0) drop.run(JSON.stringify(ids))
    },
    dropOlder: (usedAt) => void dropOlder.run(usedAt),
    [Symbol.dispose]: () => database.close(),
  }
}

/** Where the disk fails, sessions end with this proxy; calls, and what a new table says, are not worse for it. */
export function lenient(store: SessionStore, log: Logger): SessionStore {
  const attempt = (act: () => void) => {
    try {
      act()
    } catch (err) {
      log.error({ err }, 'sessions could not be stored')
    }
  }
  return {
    ...store,
    save: (session) => attempt(() => store.save(session)),
    touch: (used) => attempt(() => store.touch(used)),
    drop: (ids) => attempt(() => store.drop(ids)),
    dropOlder: (usedAt) => attempt(() => store.dropOlder(usedAt)),
  }
}
