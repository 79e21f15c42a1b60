import { Unfit } from './unfit.ts'

export interface CutterOptions {
  /** Gets each event without its blank line, its lines ended by LF; of one that is passed on in pieces, each piece as it stands. */
  readonly take: (text: string, form: 'event' | 'piece') => void
  /** Characters of one event that are held. */
  readonly most: number
  /** What becomes of a longer one. */
  readonly longer: 'pass' | 'refuse'
}

/** Cuts an event stream into events, however it comes in chunks and whichever line ends it has (HTML, 9.2.5). */
export interface EventCutter {
  /** Throws `Unfit` for an event that is too long. */
  feed(chunk: Buffer): void
  end(): void
}

export function createEventCutter(options: CutterOptions): EventCutter {
  const decoder = new TextDecoder()
  const held = new Held(options)
  let isReturned = false
  return {
    feed: (chunk) => {
      const text = decoder.decode(chunk, { stream: true })
      if (text === '') return
      const rest = isReturned && text.startsWith('\n') ? text.slice(1) : text
      isReturned = text.endsWith('\r')
      held.add(rest.replaceAll(/\r\n?/g, '\n'))
    },
    end: () => held.end(),
  }
}

/** What of an event has come so far; only what is new is searched for its end. */
class Held {
  #pieces: string[] = []
  #size = 0
  #isPassing = false
  readonly #options: CutterOptions

  constructor(options: CutterOptions) {
    this.#options = options
  }

  add(text: string): void {
    let from = 0
    if (text.startsWith('\n') && this.#pieces.at(-1)?.endsWith('\n')) {
      this.#finish('\n')
      from = 1
    }
    for (let end = text.indexOf('\n\n', from); end >= 0; end = text.indexOf('\n\n', from)) {
      this.#push(text.slice(from, end))
      this.#finish('\n\n')
      from = end + 2
    }
    if (from < text.length) this.#push(text.slice(from))
    if (this.#size > this.#options.most) this.#overflow()
  }

  end(): void {
    const { take } = this.#options
    const rest = this.#pieces.join('')
    if (rest !== '') take(rest, this.#isPassing ? 'piece' : 'event')
  }

  #push(piece: string): void {
    this.#pieces.push(piece)
    this.#size += piece.length
  }

  #finish(end: '\n' | '\n\n'): void {
    const text = this.#pieces.join('')
    if (this.#isPassing) this.#options.take(text + end, 'piece')
    else this.#options.take(end === '\n' ? text.slice(0, -1) : text, 'event')
    this.#pieces = []
    this.#size = 0
    this.#isPassing = false
  }

  /** Its last character stays, for it may be half of the event's end. */
  #overflow(): void {
    const { longer, most, take } = this.#options
    if (longer === 'refuse') throw new Unfit(`an event of more than ${most} characters`)
    const text = this.#pieces.join('')
    take(text.slice(0, -1), 'piece')
    this.#pieces = [text.slice(-1)]
    this.#size = 1
    this.#isPassing = true
  }
}
