import type { Logger } from 'pino'
import type { Chronicle } from './chronicle.ts'
import type { Journal } from './journal/journal.ts'
import type { Meters } from './meters.ts'
import { isFinal } from './outcome.ts'
import type { Move } from './step.ts'

/** What was no longer as the commit says, and is put right. */
export interface Repairs {
  /** Counts one of a server that begins, so that what never lasts is left to people. */
  begin(repair: Omit<Move, 'at'>): void
  /** Tells of one of a server that is done. */
  done(server: string, because: string): void
  /** The same of edge or proxy; nothing where the commit has yet to stand, for then it is a part of that. */
  raised(what: 'edge' | 'proxy', because: string): void
}

export function createRepairs({
  journal,
  meters,
  chronicle,
  log,
}: {
  readonly journal: Pick<Journal, 'move'>
  readonly meters: Pick<Meters, 'healed'>
  readonly chronicle: Chronicle
  readonly log: Logger
}): Repairs {
  function done(what: string, because: string): void {
    log.warn({ what, because }, 'put right')
    chronicle.repair(`${new Date().toISOString()} ${what}: ${because}`)
  }

  return {
    done,
    begin(repair) {
      journal.move(repair)
      meters.healed(repair.server)
    },
    raised(what, because) {
      const { current } = chronicle
      if (current !== undefined && isFinal(current.phase)) done(what, because)
    },
  }
}
