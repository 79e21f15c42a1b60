import type { DatabaseSync } from 'node:sqlite'

/** The forge's deliveries of the last day, by their ids. */
export interface DeliveryKeep {
  /** Remembers a delivery; whether it was remembered before. One without an id never was. */
  repeated(id: string | undefined): boolean
}

const schema = 'create table if not exists deliveries (id text primary key, at integer not null) strict, without rowid;'

const day = 24 * 60 * 60 * 1000
const remembered = 10_000

export function keepDeliveries(db: DatabaseSync): DeliveryKeep {
  db.exec(schema)
  const old = db.prepare('delete from deliveries where at < ?')
  const many = db.prepare(
    'delete from deliveries where at < (select at from deliveries order by at desc limit 1 offset ?)',
  )
  const add = db.prepare('insert or ignore into deliveries (id, at) values (?, ?)')
  return {
    repeated(id) {
      if (id === undefined || id === '') return false
      const now = Date.now()
      old.run(now - day)
      const { changes } = add.run(id, now)
      many.run(remembered)
      return changes === 0
    },
  }
}
