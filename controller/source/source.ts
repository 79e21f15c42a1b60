import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tree } from '../desired.ts'
import type { Lineage } from '../guides.ts'
import { Notary } from '../trust/notary.ts'
import { SignersFault } from '../trust/signers.ts'
import type { Vetted } from '../trust/vet.ts'
import { mustRead } from './access-files.ts'
import { findHead } from './branch-head.ts'
import { createGit } from './git.ts'
import { BlobFault, readBlobs } from './git-blobs.ts'
import { type GitAccess, gitEnvironment, type Inherited } from './git-environment.ts'
import { CommitUnknown, NoFolder, type Scene, SourceDown } from './git-fault.ts'
import { History } from './history.ts'
import { type Limits, usualLimits } from './limits.ts'
import { readLineage } from './lineage.ts'
import { type Git, Mirror, MirrorBroken } from './mirror.ts'
import { createPullRefs, type PullRefs } from './pull-refs.ts'
import { readRepository } from './repository.ts'

export { SourceDown }

export interface SourceOptions extends GitAccess {
  readonly repo: string
  readonly branch: string
  /** Folder of the repository that is read, `` for its root. */
  readonly path: string
  /** Absolute path of the state folder. */
  readonly state: string
  /** Who may sign: an ssh `allowed_signers` file, or a folder with `default` and `permissions`; absent where nobody need. */
  readonly signers?: string
  /** PATH and proxies of this process's environment. */
  readonly inherited?: Inherited
  readonly limits?: Limits
}

/** The gateway repository, by its mirror. */
export interface Source {
  /** Heads of pull requests. */
  readonly pulls: PullRefs
  /** The repository as people are shown it, without credentials. */
  readonly label: string
  /** Looks at the branch and gives its head. The same object as long as the head is the same. Throws `SourceDown`. */
  fetch(signal: AbortSignal): Promise<Tree>
  /** A commit that was fetched before, by its full hash. */
  tree(commit: string): Promise<Tree>
  /** Commits of the branch after `from` and before `to`, newest first, at most `limit`; none where `from` is unknown. */
  skipped(from: string, to: string, limit?: number): Promise<readonly string[]>
  /** How one commit of the branch leads to another. Throws `CommitUnknown` where the mirror lacks the first. */
  lineage(from: string, to: string): Promise<Lineage>
  /**
   * A commit that was fetched, as far as it is signed since `base`, the last one that was applied whole. The same object for the
   * same commits and signers; the commit's own tree where nothing is held back. Throws `SourceDown`.
   */
  vet(head: Tree, base: string | undefined, signal: AbortSignal): Promise<Vetted>
}

/** Reads a repository through a bare mirror at `mirror.git` of the state folder; touches neither before the first `fetch`. */
export async function openSource(options: SourceOptions): Promise<Source> {
  const source = new MirroredSource(options)
  await source.prepare()
  return source
}

class MirroredSource implements Source {
  readonly pulls: PullRefs
  readonly label: string
  readonly #options: SourceOptions
  readonly #scene: Scene
  readonly #git: Git
  readonly #mirror: Mirror
  readonly #history: History
  readonly #notary: Notary | undefined
  #latest: Tree | undefined
  #broken = false
  /** Whether git has not tidied up since the last fetch. */
  #untidy = false

  constructor(options: SourceOptions) {
    const { repo, state, token, signers } = options
    const repository = readRepository(repo)
    this.label = repository.label
    this.#options = options
    this.#scene = { ...options, repository, home: join(state, 'git'), token: token !== undefined }
    this.#git = createGit(this.#scene, options)
    this.#mirror = new Mirror(join(state, 'mirror.git'), this.#git, options.limits)
    const { folder } = this.#mirror
    this.#history = new History({ folder, home: this.#scene.home, git: this.#git, below: options.path })
    if (signers !== undefined)
      this.#notary = new Notary({
        path: signers,
        history: this.#history,
        tree: (commit) => this.#tree(commit),
        lacking: () => this.#history.lacking(gitEnvironment('', options.inherited ?? {}).PATH ?? ''),
      })
    const heads = { url: repository.url, folder: join(state, 'pulls.git'), mirror: this.#mirror.folder }
    this.pulls = createPullRefs({ ...heads, git: this.#git, inherited: options.inherited ?? {} })
  }

  /** Makes the folder that is git's home, and looks that the files with keys are there. */
  async prepare(): Promise<void> {
    await mkdir(this.#scene.home, { recursive: true, mode: 0o700 })
    await mustRead(this.#options)
    await this.#notary?.prepare().catch((cause: unknown) => {
      if (!(cause instanceof SignersFault)) throw cause
      throw new SourceDown(`GATEWAY_ALLOWED_SIGNERS: ${cause.message}`, { cause })
    })
  }

  async fetch(signal: AbortSignal): Promise<Tree> {
    await this.prepare()
    const { branch, limits = usualLimits } = this.#options
    const oid = await findHead(this.#git, { scene: this.#scene, branch, limit: limits.answer }, signal)
    if (this.#latest?.commit !== oid) {
      this.#latest = await this.#mirrored(oid, signal)
      this.#untidy = true
    } else if (this.#untidy) {
      this.#untidy = false
      await this.#asked(() => this.#mirror.tidy(signal), undefined)
    }
    return this.#latest
  }

  async tree(commit: string): Promise<Tree> {
    try {
      return await this.#tree(hash(commit))
    } catch (cause) {
      if (!(cause instanceof MirrorBroken || cause instanceof NoFolder)) throw cause
      throw new CommitUnknown(`${this.label}: the mirror has no commit ${commit}`, { cause })
    }
  }

  async skipped(from: string, to: string, limit = 250): Promise<readonly string[]> {
    return this.#asked(async () => (await this.#mirror.path(hash(from), hash(to))).commits.slice(1, limit + 1), [])
  }

  async vet(head: Tree, base: string | undefined, signal: AbortSignal): Promise<Vetted> {
    if (this.#notary === undefined) return { tree: head, unsigned: [] }
    try {
      return await this.#notary.vet({ head, base: base === undefined ? undefined : hash(base) }, signal)
    } catch (error) {
      if (error instanceof MirrorBroken) this.#distrust()
      if (error instanceof MirrorBroken || error instanceof SignersFault)
        throw new SourceDown(`${this.label}: ${error.message}`, { cause: error })
      throw error
    }
  }

  async lineage(from: string, to: string): Promise<Lineage> {
    try {
      return await readLineage(this.#mirror, hash(from), hash(to))
    } catch (error) {
      if (error instanceof MirrorBroken) await this.tree(from)
      throw error
    }
  }

  async #mirrored(oid: string, signal: AbortSignal): Promise<Tree> {
    const upstream = { url: this.#scene.repository.url, branch: this.#options.branch }
    try {
      if (!this.#broken) return await this.#tree(await this.#mirror.follow(upstream, oid, signal), signal)
    } catch (error) {
      if (!(error instanceof MirrorBroken)) throw error
    }
    try {
      const tree = await this.#tree(await this.#mirror.remake(upstream, oid, signal), signal)
      this.#broken = false
      return tree
    } catch (cause) {
      if (!(cause instanceof MirrorBroken)) throw cause
      throw new SourceDown(`${this.label}: git cannot copy it: ${cause.message}`, { cause })
    }
  }

  async #tree(commit: string, signal?: AbortSignal): Promise<Tree> {
    const { path } = this.#options
    const files = await this.#mirror.list(commit, path, signal)
    if (files.length === 0 && path !== '')
      throw new NoFolder(
        `${this.label}: commit ${commit.slice(0, 12)} has no folder ${path}; push it or set GATEWAY_PATH`,
      )
    return { commit, list: async () => files, read: (oids, abort) => this.#read(oids, abort) }
  }

  async *#read(oids: readonly string[], signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    const env = { ...gitEnvironment(this.#scene.home, this.#options.inherited ?? {}), GIT_DIR: this.#mirror.folder }
    try {
      yield* readBlobs(oids, env, signal)
    } catch (error) {
      if (error instanceof BlobFault) this.#distrust()
      throw error
    }
  }

  /** What the mirror says, or what counts where it lacks a commit. */
  async #asked<T>(ask: () => Promise<T>, unknown: T): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof MirrorBroken) return unknown
      throw error
    }
  }

  /** The next `fetch` makes the mirror anew. */
  #distrust(): void {
    this.#broken = true
    this.#latest = undefined
  }
}

function hash(commit: string): string {
  if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(commit)) throw new TypeError(`not a full commit hash: ${commit}`)
  return commit
}
