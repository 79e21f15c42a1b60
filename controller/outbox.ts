import type { Logger } from 'pino'
import { waitAfter } from './backoff.ts'
import { createBell } from './bell.ts'
import type { Letter, LetterKeep } from './journal/outbox.ts'

/** Somebody must act before a letter is worth another try; it is kept, and tried rarely. */
export class Unwelcome extends Error {
  override readonly name = 'Unwelcome'
}

/** Carries the letters of one kind, one at a time. */
export interface Courier {
  readonly kind: string
  /** Throws `Unwelcome` where somebody must act, anything else where it may go well the next time. */
  carry(key: string, body: string, signal: AbortSignal): Promise<void>
}

/** How a kind of letters fares. */
export interface Delivery {
  readonly waiting: number
  /** Why the letter that failed last did; undefined while all goes well. */
  readonly trouble: string | undefined
}

/** Tells others what they want to know, without anybody's waiting for it: what cannot be told now is told later. */
export interface Outbox extends AsyncDisposable {
  /** From now on letters of its kind are carried, also those of an earlier run. */
  employ(courier: Courier): void
  /** Never throws and never waits. Only the latest of a key is told, and nothing twice in a row. */
  send(kind: string, key: string, body: string): void
  /** What was sent last under a key, told or not. */
  lastSent(kind: string, key: string): string | undefined
  delivery(kind: string): Delivery
}

const day = 24 * 60 * 60 * 1000
const quarter = 15 * 60 * 1000
const waits = { first: 1_000, most: quarter }
const carryWithin = 60_000

/** Letters wait in the journal, so that they outlive the controller. */
export function openOutbox(keep: LetterKeep, log: Logger, onChange: () => void = () => {}): Outbox {
  return new Post(keep, log, onChange)
}

class Post implements Outbox {
  readonly #keep: LetterKeep
  readonly #log: Logger
  readonly #onChange: () => void
  readonly #ending = new AbortController()
  readonly #bell = createBell()
  readonly #rounds: Promise<void>[] = []

  constructor(keep: LetterKeep, log: Logger, onChange: () => void) {
    this.#keep = keep
    this.#log = log
    this.#onChange = onChange
  }

  employ(courier: Courier): void {
    // A restart is often what somebody does who has put things right.
    this.#keep.hurryLetters(courier.kind, Date.now())
    this.#rounds.push(this.#serve(courier))
  }

  send(kind: string, key: string, body: string): void {
    try {
      this.#keep.writeLetter({ kind, key, body }, Date.now())
    } catch (error) {
      this.#log.error({ err: error, kind, key }, 'not told: the outbox cannot be written')
    }
    this.#bell.ring()
  }

  lastSent(kind: string, key: string): string | undefined {
    return this.#keep.lastWritten(kind, key)
  }

  delivery(kind: string): Delivery {
    const letters = this.#keep.letters(kind)
    return { waiting: letters.length, trouble: letters.findLast(({ trouble }) => trouble !== '')?.trouble }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('the controller stops'))
    await Promise.all(this.#rounds)
  }

  /** A journal that cannot be written for a while ends nothing. */
  async #serve(courier: Courier): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted)
      await this.#next(courier).catch(async (error: unknown) => {
        this.#log.error({ err: error, kind: courier.kind }, 'the outbox cannot be read or written')
        await this.#bell.next(30_000, signal)
      })
  }

  async #next(courier: Courier): Promise<void> {
    const letter = this.#keep.nextLetter(courier.kind)
    const wait = letter === undefined ? quarter : letter.next - Date.now()
    if (letter === undefined || wait > 0) return this.#bell.next(wait, this.#ending.signal)
    if (Date.now() - letter.first > day) this.#giveUp(letter)
    else await this.#carry(courier, letter)
    this.#onChange()
  }

  async #carry(courier: Courier, letter: Letter): Promise<void> {
    const limit = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(carryWithin)])
    try {
      await courier.carry(letter.key, letter.body, limit)
    } catch (error) {
      if (!this.#ending.signal.aborted) this.#putOff(letter, error)
      return
    }
    this.#keep.told(letter, Date.now())
    // Who takes one again takes the others, too.
    if (letter.attempts > 0) this.#keep.hurryLetters(letter.kind, Date.now())
  }

  #putOff(letter: Letter, error: unknown): void {
    const { kind, key } = letter
    const trouble = error instanceof Error ? error.message : String(error)
    const attempts = letter.attempts + 1
    const isUnwelcome = error instanceof Unwelcome
    const next = Date.now() + (isUnwelcome ? quarter : waitAfter(attempts, waits))
    if (trouble !== letter.trouble) this.#log.warn({ kind, key, reason: trouble }, 'told later')
    this.#keep.postpone(letter, { attempts, next, trouble })
    // Who does not answer is not asked for each letter in turn.
    if (!isUnwelcome) this.#keep.delayLetters(kind, next)
  }

  #giveUp(letter: Letter): void {
    const { kind, key, trouble } = letter
    this.#log.warn({ kind, key, reason: trouble }, 'given up: nobody took it for a day')
    this.#keep.dropLetter(letter)
  }
}
