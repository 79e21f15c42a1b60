import { z } from 'zod'
import type { Database } from './database.ts'
import { isNamed, type Kind, type NamedTask, Task } from './task.ts'

const Entry = z.object({ entry: z.number() })
const ended = 'UPDATE tasks SET state = ?, reason = ?, ended = ? WHERE id = ?'

/** What was asked of the service, on disk before it is sent, so that nothing that was paid is forgotten. */
export class Ledger {
  readonly #now: () => number
  readonly #begin
  readonly #twins
  readonly #accept
  readonly #forget
  readonly #lose
  readonly #adopt
  readonly #note
  readonly #end
  readonly #named
  readonly #recent
  readonly #running

  /** What an earlier process was sending when it ended is `unknown` from now on. `now` is in ms since the epoch. */
  constructor({ rows, change }: Database, now: () => number = Date.now) {
    this.#now = now
    change(`UPDATE tasks SET state = 'unknown', reason = 'the server ended while it was sent' WHERE state = 'sent'`)()
    this.#begin = rows(Entry, `INSERT INTO tasks (kind, request, state, sent) VALUES (?, ?, 'sent', ?) RETURNING entry`)
    this.#twins = rows(
      Task,
      `SELECT * FROM tasks WHERE kind = ? AND request = ?
       AND (state IN ('sent', 'running') OR kind = 'upscale' AND state = 'done') LIMIT 1`,
    )
    this.#accept = change(`UPDATE tasks SET id = ?, state = 'running' WHERE entry = ?`)
    this.#forget = change('DELETE FROM tasks WHERE entry = ?')
    this.#lose = change(`UPDATE tasks SET state = 'unknown', reason = ? WHERE entry = ?`)
    this.#adopt = change(
      `INSERT OR IGNORE INTO tasks (id, kind, request, state, sent) VALUES (?, 'generate', '{}', 'running', ?)`,
    )
    this.#note = change(`UPDATE tasks SET reason = ? WHERE id = ? AND state = 'running'`)
    this.#end = change(ended)
    this.#named = rows(Task, 'SELECT * FROM tasks WHERE id = ?')
    this.#recent = rows(Task, 'SELECT * FROM tasks ORDER BY entry DESC LIMIT ?')
    this.#running = rows(Task, `SELECT * FROM tasks WHERE state = 'running'`)
  }

  /** Notes a request that is about to be sent; gives its entry. */
  begin(kind: Kind, request: string): number {
    const [begun] = this.#begin(kind, request, this.#now())
    if (begun === undefined) throw new Error('the ledger took no entry')
    return begun.entry
  }

  /** The task that the same request made, where another would be paid for nothing. */
  twin(kind: Kind, request: string): Task | undefined {
    return this.#twins(kind, request)[0]
  }

  accept(entry: number, id: string): void {
    this.#accept(id, entry)
  }

  /** The service did not take it. */
  forget(entry: number): void {
    this.#forget(entry)
  }

  /** Nobody knows whether the service took it. */
  lose(entry: number, reason: string): void {
    this.#lose(reason, entry)
  }

  /** Notes a task that the service knows and this ledger does not. */
  adopt(id: string): void {
    this.#adopt(id, this.#now())
  }

  /** What the service said last of a running task. */
  note(id: string, reason: string): void {
    this.#note(reason, id)
  }

  finish(id: string): void {
    this.#end('done', '', this.#now(), id)
  }

  fail(id: string, reason: string): void {
    this.#end('failed', reason, this.#now(), id)
  }

  find(id: string): NamedTask | undefined {
    return this.#named(id).find(isNamed)
  }

  /** Newest first. */
  recent(most: number): readonly Task[] {
    return this.#recent(most)
  }

  running(): readonly NamedTask[] {
    return this.#running().filter(isNamed)
  }
}
