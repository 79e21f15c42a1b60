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
  /** Called once, when it is closed. */
  atClose(act: () => void): void
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

/** `idle` is called when a generation has no call any more. */
export function createExchanges(idle: (generation: string) => void): Exchanges {
  const open = new Bag<Open>()
  const tally = createTally(idle)
  return {
    open: (purpose) => {
      const exchange = new Open(purpose, tally)
      exchange.atClose(open.add(exchange))
      return exchange
    },
    calls: tally.of,
    get size() {
      return open.size
    },
    review: (snapshot) => {
      for (const exchange of open) exchange.review(snapshot)
    },
    endAll: (kind) => {
      const reason = new Ended('stopping', 'this proxy is being replaced, send it again')
      for (const exchange of open) if (kind === 'all' || exchange.kind === kind) exchange.end(reason)
    },
  }
}

class Open implements Exchange {
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #purpose: Purpose
  readonly #tally: Tally
  readonly #closing: (() => void)[] = []
  #generation: string | undefined
  #isOpen = true

  constructor(purpose: Purpose, tally: Tally) {
    this.signal = this.#controller.signal
    this.#purpose = purpose
    this.#tally = tally
  }

  get kind(): Purpose['kind'] {
    return this.#purpose.kind
  }

  move(generation: string): void {
    const before = this.#generation
    this.#generation = generation
    if (this.kind === 'stream') return
    this.#tally.add(generation, 1)
    if (before !== undefined) this.#tally.add(before, -1)
  }

  end(reason: Ended): void {
    this.#controller.abort(reason)
  }

  atClose(act: () => void): void {
    this.#closing.push(act)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.kind === 'call' && this.#generation !== undefined) this.#tally.add(this.#generation, -1)
    for (const act of this.#closing) act()
  }

  review(snapshot: Snapshot): void {
    const generation = this.#generation
    if (!this.#purpose.allowed(snapshot))
      this.end(new Ended('revoked', 'the access that it was made with was taken away'))
    else if (this.kind === 'stream' && generation !== undefined && snapshot.targets.get(generation)?.role !== 'serving')
      this.end(new Ended('draining', 'its server was replaced, connect again'))
  }
}
