import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Parts } from '../generation.ts'

/** What generations were made from, by `<server>@<spec>`. */
export interface Origins {
  remember(generation: string, parts: Parts): void
  /** What these generations were made from. */
  known(generations: readonly string[]): ReadonlyMap<string, Parts>
}

const schema =
  'create table if not exists made (generation text primary key, parts text not null, at integer not null) strict;'

/** Generations older than the last thousand are forgotten: they only explain what changed. */
const remembered = 1_000

const PartsText = z.object({
  image: z.string(),
  files: z.record(z.string(), z.string()),
  settings: z.record(z.string(), z.string()),
  secrets: z.string(),
})
const Row = z.object({ generation: z.string(), parts: z.string() })

export function keepOrigins(db: DatabaseSync): Origins {
  db.exec(schema)
  const put = db.prepare('insert or replace into made (generation, parts, at) values (?, ?, ?)')
  const trim = db.prepare(
    'delete from made where generation not in (select generation from made order by at desc limit ?)',
  )
  const some = db.prepare('select generation, parts from made where generation in (select value from json_each(?))')
  return {
    remember(generation, parts) {
      put.run(generation, JSON.stringify(parts), Date.now())
      trim.run(remembered)
    },
    known: (generations) =>
      new Map(
        some.all(JSON.stringify(generations)).map((row) => {
          const { generation, parts } = Row.parse(row)
          return [generation, PartsText.parse(JSON.parse(parts))]
        }),
      ),
  }
}
