import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { Intents, Pin } from '../intents.ts'

/** What operators want until they say otherwise. */
export interface IntentKeep {
  intents(): Intents
  suspend(server: string): void
  /** Forgets a suspension, and a pin. */
  release(server: string): void
  unpin(server: string): void
  pin(server: string, pin: Omit<Pin, 'since'>): void
}

const schema = `
  create table if not exists suspensions (server text primary key, since integer not null) strict;
  create table if not exists pins (
    server text primary key, commit_sha text not null, against text not null, since integer not null) strict;`

const Suspension = z.object({ server: z.string(), since: z.number() })
const PinRow = z.object({ server: z.string(), commit_sha: z.string(), against: z.string(), since: z.number() })

export function keepIntents(db: DatabaseSync): IntentKeep {
  db.exec(schema)
  const suspensions = db.prepare('select server, since from suspensions')
  const pins = db.prepare('select server, commit_sha, against, since from pins')
  const suspend = db.prepare('insert or ignore into suspensions (server, since) values (?, ?)')
  const pin = db.prepare('insert or replace into pins (server, commit_sha, against, since) values (?, ?, ?, ?)')
  const unsuspend = db.prepare('delete from suspensions where server = ?')
  const unpin = db.prepare('delete from pins where server = ?')
  return {
    intents: () => ({
      suspended: new Map(
        suspensions.all().map((row) => {
          const { server, since } = Suspension.parse(row)
          return [server, since]
        }),
      ),
      pins: new Map(
        pins.all().map((row) => {
          const { server, commit_sha: commit, against, since } = PinRow.parse(row)
          return [server, { commit, against, since }]
        }),
      ),
    }),
    suspend: (server) => void suspend.run(server, Date.now()),
    release(server) {
      unsuspend.run(server)
      unpin.run(server)
    },
    unpin: (server) => void unpin.run(server),
    pin: (server, { commit, against }) => void pin.run(server, commit, against, Date.now()),
  }
}
