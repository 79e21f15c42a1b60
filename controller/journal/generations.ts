import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Parts } from '../generation.ts'

/** What generations were made from, by spec. */
export interface Origins {
  remember(spec: string, parts: Parts): void
  /** What generations of these specs were made from. */
  known(specs: readonly string[]): ReadonlyMap<string, Parts>
}

const schema =
  'create table if not exists generations (spec text primary key, parts text not null, at integer not null) strict;'

/** Specs older than the last thousand are forgotten: they only explain what changed. */
const remembered = 1_000

const PartsText = z.object({
  image: z.string(),
  files: z.record(z.string(), z.string()),
  settings: z.record(z.string(), z.string()),
  secrets: z.string(),
})
const Row = z.object({ spec: z.string(), parts: z.string() })

export function keepOrigins(db: DatabaseSync): Origins {
  db.exec(schema)
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
          const { spec, parts } = Row.parse(row)
          return [spec, PartsText.parse(JSON.parse(parts))]
        }),
      ),
  }
}
