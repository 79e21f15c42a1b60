import type { DatabaseSync } from 'node:sqlite'
import { type Credential, Table } from '#manifests/table.ts'
import { Body } from './body.ts'
import type { Cover } from './cover.ts'

/** The table as it was last published. */
export interface TableKeep {
  readTable(): Table | undefined
  writeTable(table: Table): void
}

const schema =
  'create table if not exists table_now (one integer primary key check (one = 1), body text not null) strict;'

/** Credentials are covered here: what runs goes on with what it was given, and a copy of the journal gives nothing away. */
export function keepTable(db: DatabaseSync, { cover, uncover }: Cover): TableKeep {
  db.exec(schema)
  const read = db.prepare('select body from table_now')
  const write = db.prepare('insert or replace into table_now (one, body) values (1, ?)')
  return {
    readTable() {
      const row = Body.optional().parse(read.get())
      return row && withCredentials(Table.parse(JSON.parse(row.body)), uncover)
    },
    writeTable: (table) => void write.run(JSON.stringify(withCredentials(table, cover))),
  }
}

/** The table with another value in each credential, or without the credential. */
function withCredentials(table: Table, change: (value: string) => string | undefined): Table {
  const changed = <T extends { readonly credential?: Credential | undefined }>(entry: T): T => {
    const { credential } = entry
    if (credential === undefined) return entry
    const value = change(credential.value)
    return { ...entry, credential: value === undefined ? undefined : { ...credential, value } }
  }
  return {
    ...table,
    servers: Object.fromEntries(Object.entries(table.servers).map(([name, server]) => [name, changed(server)])),
    starting: table.starting.map(changed),
    draining: table.draining.map(changed),
  }
}
