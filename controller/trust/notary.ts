import type { Tree } from '../desired.ts'
import type { History } from '../source/history.ts'
import { readSigners, type Signers, SignersFault } from './signers.ts'
import { type Vetted, vet } from './vet.ts'

/** What a notary works with. */
export interface Desk {
  /** Where the signers are: a file, or a folder. */
  readonly path: string
  readonly history: History
  /** A commit's tree; rejects where the mirror lacks it. */
  readonly tree: (commit: string) => Promise<Tree>
  /** What this machine lacks to check signatures, a line; `` for nothing. */
  readonly lacking: () => Promise<string>
}

interface Act {
  readonly head: Tree
  /** Of all else that a verdict depends on. */
  readonly key: string
  readonly vetted: Vetted
}

/** Vets commits by the signers as they are now, and once for the same commits and signers. */
export class Notary {
  readonly #desk: Desk
  #last: Act | undefined
  #lacking: string | undefined

  constructor(desk: Desk) {
    this.#desk = desk
  }

  /** Looks that there is all that it takes. Throws `SignersFault`. */
  async prepare(): Promise<void> {
    await readSigners(this.#desk.path)
    this.#lacking ??= await this.#desk.lacking()
    if (this.#lacking !== '') throw new SignersFault(this.#lacking)
  }

  /** Throws `SignersFault`. */
  async vet(
    { head, base }: { readonly head: Tree; readonly base: string | undefined },
    signal?: AbortSignal,
  ): Promise<Vetted> {
    const signers = await readSigners(this.#desk.path)
    const key = [base ?? '', signers.default.digest, signers.permissions.digest].join(' ')
    if (this.#last?.key === key && this.#last.head === head) return this.#last.vetted
    const vetted = await this.#look(signers, { head, base }, signal)
    this.#last = { head, key, vetted }
    return vetted
  }

  async #look(
    signers: Signers,
    { head, base }: { readonly head: Tree; readonly base: string | undefined },
    signal?: AbortSignal,
  ): Promise<Vetted> {
    if (base === head.commit) return { tree: head, unsigned: [] }
    const { history, tree } = this.#desk
    const known = base === undefined ? undefined : await this.#known(base, signal)
    return vet({ history, signers, tree }, { head, base: known }, signal)
  }

  /** A mirror that was made anew may lack the base: then it is as if there were none. */
  async #known(base: string, signal?: AbortSignal): Promise<Tree | undefined> {
    return (await this.#desk.history.knows(base, signal)) ? this.#desk.tree(base) : undefined
  }
}
