import type { Status } from '#manifests/status.ts'

/** Watches whether the forge announces what is pushed. */
export interface Vigil extends Disposable {
  /** A delivery about the branch came; `commit` is where it says that the branch is now, if it says so. */
  heard(commit: string | undefined): void
  /** A pass found a new head of the branch. */
  found(commit: string): void
  state(): NonNullable<Status['webhook']>
}

export interface VigilOptions {
  /** Where the forge is to reach us, for people to read. */
  readonly address: string
  /** How long after its commit a delivery may still come, ms. */
  readonly grace: number
  readonly onMissed: () => void
  readonly onChange: () => void
}

/** So many commits in a row without a delivery are no chance. */
const bearable = 3
const remembered = 200

/** The first head is never missed: what announced it may have come before we listened. */
export function watchWebhook(options: VigilOptions): Vigil {
  return new Watch(options)
}

class Watch implements Vigil {
  readonly #options: VigilOptions
  readonly #announced = new Set<string>()
  /** Found and not announced, each until its grace is over. */
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  #head: string | undefined
  #missed = 0
  #last: string | undefined

  constructor(options: VigilOptions) {
    this.#options = options
  }

  heard(commit: string | undefined): void {
    const wasIll = this.#missed >= bearable
    this.#missed = 0
    this.#last = new Date().toISOString()
    for (const one of commit === undefined ? this.#waiting.keys() : [commit]) this.#settle(one)
    if (commit !== undefined) this.#remember(commit)
    if (wasIll) this.#options.onChange()
  }

  found(commit: string): void {
    if (commit === this.#head) return
    const isFirst = this.#head === undefined
    this.#head = commit
    if (isFirst || this.#announced.has(commit)) return
    this.#waiting.set(
      commit,
      setTimeout(() => this.#miss(commit), this.#options.grace),
    )
  }

  state(): NonNullable<Status['webhook']> {
    if (this.#missed < bearable)
      return { ok: true, reason: this.#last === undefined ? 'no delivery yet' : `last delivery at ${this.#last}` }
    const reason = `${this.#missed} commits came without a webhook: is it active in the forge, for pushes, and does the forge's webhook.ALLOWED_HOST_LIST let it reach ${this.#options.address}?`
    return { ok: false, reason }
  }

  [Symbol.dispose](): void {
    for (const commit of this.#waiting.keys()) this.#settle(commit)
  }

  #remember(commit: string): void {
    this.#announced.add(commit)
    const [oldest] = this.#announced
    if (this.#announced.size > remembered && oldest !== undefined) this.#announced.delete(oldest)
  }

  #settle(commit: string): void {
    clearTimeout(this.#waiting.get(commit))
    this.#waiting.delete(commit)
  }

  #miss(commit: string): void {
    this.#settle(commit)
    this.#missed++
    this.#options.onMissed()
    if (this.#missed >= bearable) this.#options.onChange()
  }
}
