import { Bag } from './bag.ts'
import type { Snapshot } from './table.ts'
import { createTally, type Tally } from './tally.ts'

/** Why an exchange was ended before its time, in words for who waits for it. */
export class Ended extends Error {
  override readonly name = 'Ended'
  readonly why: 'revoked' | 'draining' | 'left' | 'timeout' | 'stopping'
  constructor(why: Ended['why'], words: string) {
    super(words)
    this.why = why
  }
}

/** It took longer than it may. */
export class Late extends Ended {
  /** Time without progress, or in all, ms. */
  readonly limit: number
  constructor(limit: number, words: string) {
    super('timeout', words)
    this.limit = limit
  }
}

/** What an exchange is, in so far as a new table may end it. */
export interface Purpose {
  readonly agent: string
  /** A stream only listens: it ends when its generation drains; a call finishes. */
  readonly kind: 'call' | 'stream'
  /** Whether a table still lets it be. */
  readonly allowed: (snapshot: Snapshot) => boolean
}

/** One request while it is answered: what it waits for ends with `signal`. */
export interface Exchange {
  readonly signal: AbortSignal
  /** Counts it for a generation from now on. */
  move(generation: string): void
  end(reason: Ended): void
  close(): void
}

/** The exchanges in flight. */
export interface Exchanges {
  open(purpose: Purpose): Exchange
  /** Calls in flight; streams are not counted. */
  calls(generation: string): number
  readonly size: number
  /** Ends what a table does not allow any more. */
  review(snapshot: Snapshot): void
  /** Ends the streams, or all. */
  endAll(kind: 'stream' | 'all'): void
}

interface Entry {
  readonly purpose: Purpose
  readonly controller: AbortController
  generation: string | undefined
}

/** `idle` is called when a generation has no call any more. */
export function createExchanges(idle: (generation: string) => void): Exchanges {
  const open = new Bag<Entry>()
  const tally = createTally(idle)
  return {
    open: (purpose) => openEntry({ open, tally }, purpose),
    calls: tally.of,
    get size() {
      return open.size
    },
    review: (snapshot) => {
      for (const entry of open) review(entry, snapshot)
    },
    endAll: (kind) => {
      const reason = new Ended('stopping', 'this proxy is being replaced, send it again')
      for (const { purpose, controller } of open) if (kind === 'all' || purpose.kind === kind) controller.abort(reason)
    },
  }
}

interface Register {
  readonly open: Bag<Entry>
  readonly tally: Tally
}

function openEntry({ open, tally }: Register, purpose: Purpose): Exchange {
  const entry: Entry = { purpose, controller: new AbortController(), generation: undefined }
  const remove = open.add(entry)
  let isOpen = true
  return {
    signal: entry.controller.signal,
    move: (generation) => {
      if (purpose.kind === 'call') {
        tally.add(generation, 1)
        if (entry.generation !== undefined) tally.add(entry.generation, -1)
      }
      entry.generation = generation
    },
    end: (reason) => entry.controller.abort(reason),
    close: () => {
      if (isOpen && purpose.kind === 'call' && entry.generation !== undefined) tally.add(entry.generation, -1)
      isOpen = false
      remove()
    },
  }
}

function review({ purpose, controller, generation }: Entry, snapshot: Snapshot): void {
  if (!purpose.allowed(snapshot))
    controller.abort(new Ended('revoked', 'the access that it was made with was taken away'))
  else if (
    purpose.kind === 'stream' &&
    generation !== undefined &&
    snapshot.targets.get(generation)?.role !== 'serving'
  )
    controller.abort(new Ended('draining', 'its server was replaced, connect again'))
}
