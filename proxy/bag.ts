/**
 * What comes and goes with each call. Not a `Set` or a `Map`: V8 links each table of one to the next, so that tables which have
 * grown old keep alive what was in all that came after them, whole calls with it: 60 MB, and a quarter of a call's CPU time.
 */
export class Bag<T> implements Iterable<T> {
  readonly #slots: Slot<T>[] = []

  get size(): number {
    return this.#slots.length
  }

  /** Returns what takes it out again. */
  add(value: T): () => void {
    const slot = { value, at: this.#slots.length }
    this.#slots.push(slot)
    return () => this.#remove(slot)
  }

  #remove(slot: Slot<T>): void {
    if (this.#slots[slot.at] !== slot) return
    const last = this.#slots.pop()
    if (last === undefined || last === slot) return
    this.#slots[slot.at] = last
    last.at = slot.at
  }

  /** All that are in it now; others may come and go meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#slots.map(({ value }) => value).values()
  }
}

interface Slot<T> {
  readonly value: T
  at: number
}
