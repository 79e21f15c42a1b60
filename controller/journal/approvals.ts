import type { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'

/** Plans that an operator has approved. */
export interface Approvals {
  approve(plan: string): void
  approvals(): readonly string[]
  /** Once a commit was applied whole: what was approved of it is not approved for ever. */
  forgetApprovals(): void
}

const schema = 'create table if not exists approvals (plan text primary key, at integer not null) strict;'

const remembered = 1_000
const Row = z.object({ plan: z.string() })

export function keepApprovals(db: DatabaseSync): Approvals {
  db.exec(schema)
  const put = db.prepare('insert or replace into approvals (plan, at) values (?, ?)')
  const trim = db.prepare(
    'delete from approvals where plan not in (select plan from approvals order by at desc limit ?)',
  )
  const all = db.prepare('select plan from approvals order by at')
  const forget = db.prepare('delete from approvals')
  return {
    approve(plan) {
      put.run(plan, Date.now())
      trim.run(remembered)
    },
    forgetApprovals: () => void forget.run(),
    approvals: () => all.all().map((row) => Row.parse(row).plan),
  }
}
