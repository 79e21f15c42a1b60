import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Told } from '../notices/told.ts'

/** What people were told of and has not ended. */
export interface NoticeKeep {
  toldTroubles(): Told
  rememberTold(told: Told): void
}

const schema =
  'create table if not exists told_troubles (subject text primary key, kind text not null, reason text not null) strict;'

const Row = z.object({
  subject: z.string(),
  kind: z.enum(['degraded', 'stalled', 'held', 'recovered']),
  reason: z.string(),
})

export function keepNotices(db: DatabaseSync): NoticeKeep {
  db.exec(schema)
  const all = db.prepare('select subject, kind, reason from told_troubles')
  const put = db.prepare('insert or replace into told_troubles (subject, kind, reason) values (?, ?, ?)')
  const clear = db.prepare('delete from told_troubles where subject not in (select value from json_each(?))')
  return {
    toldTroubles: () =>
      new Map(
        all.all().map((row) => {
          const { subject, kind, reason } = Row.parse(row)
          return [subject, { kind, reason }]
        }),
      ),
    rememberTold(told) {
      for (const [subject, { kind, reason }] of told) put.run(subject, kind, reason)
      clear.run(JSON.stringify([...told.keys()]))
    },
  }
}
