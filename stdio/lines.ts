const newline = 0x0a

export interface LineTaker {
  line(text: string): void
  /** A line is longer than it may be; nothing is taken any more. */
  over(): void
}

/** Cuts a stream of bytes into lines. A line is decoded as a whole, so that no character is cut in two. */
export class Lines {
  readonly #limit: number
  readonly #taker: LineTaker
  #parts: Buffer[] = []
  #size = 0
  #over = false

  constructor(limit: number, taker: LineTaker) {
    this.#limit = limit
    this.#taker = taker
  }

  take(chunk: Buffer): void {
    let from = 0
    while (!this.#over) {
      const to = chunk.indexOf(newline, from)
      this.#keep(chunk.subarray(from, to === -1 ? chunk.length : to))
      if (this.#over || to === -1) return
      const text = Buffer.concat(this.#parts, this.#size).toString('utf8')
      this.#clear()
      from = to + 1
      this.#taker.line(text)
    }
  }

  #keep(part: Buffer): void {
    this.#size += part.length
    this.#parts.push(part)
    if (this.#size <= this.#limit) return
    this.#over = true
    this.#clear()
    this.#taker.over()
  }

  #clear(): void {
    this.#parts = []
    this.#size = 0
  }
}
