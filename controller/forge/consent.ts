import type { Logger } from 'pino'
import { createBell } from '../bell.ts'
import type { Consent } from '../consent.ts'
import { messageOf } from '../troubles.ts'
import type { Wire } from '../wire.ts'
import type { Forge } from './client.ts'
import { consentToAll, opinionOf, type Recorded } from './reviews.ts'

/** What others have consented to, as the forge records it: asked in the background, so that no pass waits. */
export interface Consents extends AsyncDisposable {
  /** From what is known now; what is not known yet is asked for, and a changed answer asks for a pass. */
  consent(commits: readonly string[], approvals: number): Consent
  /** What a pass would hear now that asks again about the commits up to this one; given where none asked. */
  standing(head: string): Consent
}

export interface ConsentOptions {
  readonly forge: Pick<Forge, 'pullOfCommit' | 'reviews'>
  readonly branch: string
  /** Numbers of pull requests that something may have happened to. */
  readonly hints: Wire<number>
  readonly log: Logger
  readonly onChange: () => void
  /** How often what does not suffice is asked again, ms. */
  readonly every?: number
}

/** More commits than that are judged by people. */
const most = 100
/** What no pass has asked about for so long is no longer asked, ms. */
const interest = 10 * 60_000
/** ms that all questions about one commit may take. */
const askWithin = 45_000

export function openConsents(options: ConsentOptions): Consents {
  return new Records(options)
}

class Records implements Consents {
  readonly #options: ConsentOptions
  readonly #ending = new AbortController()
  readonly #bell = createBell()
  readonly #known = new Map<string, Recorded>()
  #wanted: { readonly commits: readonly string[]; readonly approvals: number; readonly at: number } | undefined
  readonly #work: Promise<unknown>

  constructor(options: ConsentOptions) {
    this.#options = options
    this.#work = Promise.all([this.#serve(), this.#hear()])
  }

  consent(commits: readonly string[], approvals: number): Consent {
    if (commits.length > most)
      return { given: false, because: `${commits.length} commits came at once: at most ${most} are asked about` }
    const isNews = JSON.stringify(commits) !== JSON.stringify(this.#wanted?.commits)
    this.#wanted = { commits, approvals, at: Date.now() }
    for (const commit of this.#known.keys()) if (!commits.includes(commit)) this.#known.delete(commit)
    if (isNews) this.#bell.ring()
    return this.#answer(commits, approvals)
  }

  standing(head: string): Consent {
    const { commits, approvals } = this.#wanted ?? { commits: [], approvals: 0 }
    return commits.at(-1) === head ? this.#answer(commits, approvals) : { given: true }
  }

  #answer(commits: readonly string[], approvals: number): Consent {
    const unasked: Recorded = { kind: 'unknown', because: 'it is being asked' }
    return consentToAll(commits, (commit) => this.#known.get(commit) ?? unasked, approvals)
  }

  async #hear(): Promise<void> {
    for await (const hint of this.#options.hints.listen(60_000, this.#ending.signal))
      if (hint !== undefined) this.#bell.ring()
  }

  async #serve(): Promise<void> {
    const { signal } = this.#ending
    const { every = 20_000, log, onChange } = this.#options
    while (!signal.aborted) {
      const next = this.#bell.next(every, signal)
      if (await this.#ask(signal)) onChange()
      await next
    }
    log.debug('the forge is asked for no more reviews')
  }

  /** Asks about all that does not suffice yet; whether anything changed. */
  async #ask(signal: AbortSignal): Promise<boolean> {
    const wanted = this.#wanted
    if (wanted === undefined || Date.now() - wanted.at > interest) return false
    const { commits, approvals } = wanted
    const before = JSON.stringify(this.#answer(commits, approvals))
    for (const commit of commits) {
      const known = this.#known.get(commit)
      if (known !== undefined && consentToAll([commit], () => known, approvals).given) continue
      const recorded = await this.#lookUp(commit, signal)
      if (signal.aborted) return false
      this.#known.set(commit, recorded)
      if (recorded.kind === 'unknown') break
    }
    return before !== JSON.stringify(this.#answer(commits, approvals))
  }

  async #lookUp(commit: string, signal: AbortSignal): Promise<Recorded> {
    const { forge, branch, log } = this.#options
    const limit = AbortSignal.any([signal, AbortSignal.timeout(askWithin)])
    try {
      const pull = await forge.pullOfCommit(commit, limit)
      if (pull === undefined || !pull.merged || pull.mergeCommit !== commit || pull.base.branch !== branch)
        return { kind: 'none' }
      return { kind: 'pull', ...opinionOf(pull, await forge.reviews(pull.number, limit)) }
    } catch (error) {
      const because = messageOf(error)
      if (!signal.aborted) log.warn({ commit, reason: because }, 'the forge does not say what others consent to')
      return { kind: 'unknown', because }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('the controller stops'))
    await this.#work
  }
}
