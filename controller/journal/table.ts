import type { DatabaseSync } from 'node:sqlite'
import { Table } from '#manifests/table.ts'
import { Body } from './body.ts'

/** The table as it was last published. */
export interface TableKeep {
  readTable(): Table | undefined
  writeTable(table: Table): void
}

const schema =
  'create table if not exists table_now (one integer primary key check (one = 1), body text not null) strict;'

export function keepTable(db: DatabaseSync): TableKeep {
  db.exec(schema)
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
