import type { Logger } from 'pino'
import type { PullStatus } from '#manifests/status.ts'
import { createBell } from '../bell.ts'
import type { Consent } from '../consent.ts'
import type { Base } from '../ruling.ts'
import { PullFault, type PullRefs } from '../source/pull-refs.ts'
import { messageOf } from '../troubles.ts'
import type { Wire } from '../wire.ts'
import type { KnownTools } from './access.ts'
import type { Pull } from './answers.ts'
import type { Forge } from './client.ts'
import { planComment } from './comment.ts'
import { compileApart, type Readings } from './compile-apart.ts'
import type { Notes } from './notes.ts'
import { type Circumstances, type Preview, previewOf } from './preview.ts'
import { pullStatus } from './pull-status.ts'
import { consentOf, opinionOf } from './reviews.ts'
import type { Said } from './statuses.ts'
import { beingLookedAt, verdictOf } from './verdict.ts'

/** What a pull request is held against. */
export interface Footing {
  /** Head of the branch, as it is in the mirror; undefined before the first look. */
  readonly tip: string | undefined
  /** The last commit of which nothing was held back. */
  readonly accepted: string | undefined
  /** The same, with what of its agents is left, as the last pass remembers it. */
  readonly base: Base | undefined
  /** Plans that were approved on the machine. */
  readonly approved: readonly string[]
  /** Who may sign, where commits must be signed: the place, and the hashes of what stands there. */
  readonly signers: { readonly path: string; readonly digest: string } | undefined
  /** Approvals that what widens access needs. */
  readonly approvals: number | undefined
  /** What others have said of what is on the branch already. */
  readonly consent: Consent
  readonly tools: KnownTools
  /** Names in the secrets file. */
  readonly secrets: ReadonlySet<string>
}

export interface PullsOptions {
  readonly forge: Pick<Forge, 'openPulls' | 'reviews'>
  readonly refs: PullRefs
  readonly notes: Notes
  readonly post: (sha: string, said: Said) => void
  /** Whether anything was ever posted of a head, in an earlier run perhaps: what passed is not pending again. */
  readonly isTold: (sha: string) => boolean
  readonly footing: () => Promise<Footing>
  readonly branch: string
  /** Folder of the repository that is read, `` for its root. */
  readonly path: string
  /** What marks a comment as ours. */
  readonly of: string
  readonly inherited: Readonly<Record<string, string>>
  readonly hints: Wire<number>
  readonly log: Logger
  readonly onChange: () => void
  /** How often all are looked at without a hint, ms. */
  readonly every?: number
  /** How often comments are looked at, ms. */
  readonly checkEvery?: number
}

/** Looks at open pull requests, one at a time: what they would do is told to the forge, and nothing of them is built or run. */
export interface Pulls extends AsyncDisposable {
  /** Asks for another look: the branch has moved, say. */
  look(): void
  /** Why they cannot be looked at; undefined while all goes well. */
  trouble(): string | undefined
  /** What was told of an open one; undefined before the first look. */
  told(number: number): PullStatus | undefined
}

/** ms that one pull request may take, but for what the forge needs. */
const lookWithin = 240_000

export function openPulls(options: PullsOptions): Pulls {
  return new Inspector(options)
}

interface Look {
  readonly head: string
  readonly by: string
  readonly base?: Base | undefined
  readonly told?: PullStatus | undefined
}

class Inspector implements Pulls {
  readonly #options: PullsOptions
  readonly #ending = new AbortController()
  readonly #bell = createBell()
  /** By number: the head that was told of, and what the last preview was made from. */
  readonly #looked = new Map<number, Look>()
  #trouble: string | undefined
  #checked = Date.now()
  readonly #work: Promise<unknown>

  constructor(options: PullsOptions) {
    this.#options = options
    this.#work = Promise.all([this.#serve(), this.#hear()])
  }

  look(): void {
    this.#bell.ring()
  }

  trouble(): string | undefined {
    return this.#trouble
  }

  told(number: number): PullStatus | undefined {
    return this.#looked.get(number)?.told
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new Error('the controller stops'))
    await this.#work
  }

  async #hear(): Promise<void> {
    for await (const hint of this.#options.hints.listen(60_000, this.#ending.signal))
      if (hint !== undefined) this.look()
  }

  async #serve(): Promise<void> {
    const { signal } = this.#ending
    while (!signal.aborted) {
      const next = this.#bell.next(this.#options.every ?? 30_000, signal)
      await this.#sweep(signal).then(
        () => this.#tell(undefined),
        (error: unknown) => this.#tell(error),
      )
      await next
    }
  }

  #tell(error: unknown): void {
    const { log, onChange } = this.#options
    const trouble = error === undefined ? undefined : messageOf(error)
    if (this.#ending.signal.aborted || trouble === this.#trouble) return
    this.#trouble = trouble
    if (trouble !== undefined) log.warn({ reason: trouble }, 'pull requests cannot be looked at')
    onChange()
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { forge, branch, refs, notes, checkEvery = 300_000 } = this.#options
    const open = (await forge.openPulls(signal)).filter(({ base }) => base.branch === branch)
    const numbers = new Set(open.map(({ number }) => number))
    for (const number of [...this.#looked.keys()].filter((one) => !numbers.has(one))) {
      this.#looked.delete(number)
      notes.forget(number)
    }
    await refs.keep(numbers, signal)
    const isDue = Date.now() - this.#checked >= checkEvery
    if (isDue) this.#checked = Date.now()
    const failed: unknown[] = []
    for (const pull of open) {
      await this.#inspect(pull, signal).catch((error: unknown) => failed.push(error))
      if (isDue) await notes.check(pull.number, signal).catch((error: unknown) => failed.push(error))
      signal.throwIfAborted()
    }
    if (failed.length > 0) throw failed[0]
  }

  async #inspect(pull: Pull, signal: AbortSignal): Promise<void> {
    const { post, isTold, notes, of, branch } = this.#options
    const footing = await this.#options.footing()
    const { tip } = footing
    if (tip === undefined) return
    const consent = await this.#consentTo(pull, footing, signal)
    const { number, head, fork } = pull
    const ground = { ...footing, tip, consent: { branch: footing.consent, merged: consent } }
    const { base, tools, secrets, ...rest } = ground
    const by = JSON.stringify([head, rest, [...tools], !fork && [...secrets]])
    const last = this.#looked.get(number)
    if (last?.by === by && last.base === base) return
    if (last?.head !== head && !isTold(head)) {
      post(head, beingLookedAt(number))
      notes.markStale(number, head)
    }
    this.#looked.set(number, { ...last, head, by: '' })
    const limit = AbortSignal.any([signal, AbortSignal.timeout(lookWithin)])
    const preview = await this.#preview(pull, ground, limit)
    if (preview === undefined) return
    post(head, verdictOf(number, preview))
    notes.say(number, planComment({ of, branch, head, base: tip }, preview))
    this.#looked.set(number, { head, by, base, told: pullStatus({ number, head, base: tip }, preview) })
  }

  /** What waits for others on the branch waits on, whatever is merged into it. */
  async #consentTo(pull: Pull, { approvals, consent }: Footing, signal: AbortSignal): Promise<Consent> {
    if (approvals === undefined || !consent.given) return consent
    return consentOf(opinionOf(pull, await this.#options.forge.reviews(pull.number, signal)), approvals)
  }

  /** Undefined where the head has moved meanwhile: it is looked at again soon. */
  async #preview(pull: Pull, ground: Ground, signal: AbortSignal): Promise<Preview | undefined> {
    try {
      const { number, head, fork } = pull
      if ((await this.#options.refs.fetch(number, signal)) !== head) return undefined
      const merged = await this.#options.refs.merge(ground.tip, head, signal)
      if ('conflicts' in merged) return conflict(merged.conflicts, this.#options.branch)
      const { tools: known, consent, approved, secrets, signers, base } = ground
      const left = base?.desired.commit === ground.accepted ? base?.left : undefined
      const bar = { known, consent, approved, left, isSigned: signers !== undefined, ...(fork ? {} : { secrets }) }
      return previewOf(await this.#compile(merged.commit, ground, signal), bar)
    } catch (error) {
      if (error instanceof PullFault) return { kind: 'invalid', errors: [error.message] }
      throw error
    }
  }

  #compile(merged: string, { tip, accepted, approved, signers }: Ground, signal: AbortSignal): Promise<Readings> {
    const { refs, path, inherited } = this.#options
    const place = { folder: refs.folder, path, inherited }
    return compileApart({ ...place, merged, tip, accepted, approved: [...approved], signers: signers?.path }, signal)
  }
}

interface Ground extends Omit<Footing, 'consent'> {
  readonly tip: string
  readonly consent: Circumstances['consent']
}

function conflict(paths: readonly string[], branch: string): Preview {
  const few = paths.slice(0, 20).join(', ')
  return { kind: 'invalid', errors: [`it conflicts with ${branch} in ${few}: merge ${branch} into it`] }
}
