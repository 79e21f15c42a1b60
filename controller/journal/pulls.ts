import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** Which comment of a pull request is ours, and who we are to the forge. */
export interface PullKeep {
  pullComment(number: number): number | undefined
  keepPullComment(number: number, id: number): void
  forgetPullComment(number: number): void
  forgeLogin(): string | undefined
  keepForgeLogin(login: string): void
}

const schema = `
create table if not exists pull_comments (number integer primary key, id integer not null) strict;
create table if not exists forge_login (one integer primary key check (one = 1), login text not null) strict;`

const Row = z.object({ id: z.number() })
const Login = z.object({ login: z.string() })

export function keepPulls(db: DatabaseSync): PullKeep {
  db.exec(schema)
  const read = db.prepare('select id from pull_comments where number = ?')
  const write = db.prepare('insert or replace into pull_comments (number, id) values (?, ?)')
  const drop = db.prepare('delete from pull_comments where number = ?')
  const login = db.prepare('select login from forge_login')
  const writeLogin = db.prepare('insert or replace into forge_login (one, login) values (1, ?)')
  return {
    pullComment: (number) => Row.optional().parse(read.get(number))?.id,
    keepPullComment: (number, id) => void write.run(number, id),
    forgetPullComment: (number) => void drop.run(number),
    forgeLogin: () => Login.optional().parse(login.get())?.login,
    keepForgeLogin: (name) => void writeLogin.run(name),
  }
}
