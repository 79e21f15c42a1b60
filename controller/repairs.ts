import type { Logger } from 'pino'
import type { Chronicle } from './chronicle.ts'
import type { Journal } from './journal/journal.ts'
import type { Meters } from './meters.ts'
import { isFinal } from './outcome.ts'
import type { Move } from './step.ts'

/** Tells what was no longer as the commit says, and is put right. */
export interface Repairs {
  /** Of a server: it counts, so that what never lasts is left to people. */
  server(repair: Omit<Move, 'at'>): void
  /** Of edge or proxy; nothing where they do not stand yet. */
  gateway(what: 'edge' | 'proxy', because: string): void
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
  function say(what: string, because: string): void {
    log.warn({ what, because }, 'put right')
    chronicle.repair(`${new Date().toISOString()} ${what}: ${because}`)
  }

  return {
    server(repair) {
      journal.move(repair)
      meters.healed(repair.server)
      say(repair.server, repair.because)
    },
    gateway(what, because) {
      const { current } = chronicle
      if (current !== undefined && isFinal(current.phase)) say(what, because)
    },
  }
}
