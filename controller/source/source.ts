import { access, constants, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { simpleGit } from 'simple-git'
import { nearest } from '../compile/nearest.ts'
import type { Tree } from '../desired.ts'
import type { Lineage } from '../guides.ts'
import { BlobFault, readBlobs } from './git-blobs.ts'
import { accessEnvironment, type GitAccess, gitEnvironment, type Inherited } from './git-environment.ts'
import { detail, explainGit, type Scene, SourceDown } from './git-fault.ts'
import { type Git, type GitRun, Mirror, MirrorBroken } from './mirror.ts'
import { readRepository } from './repository.ts'

export { SourceDown }

export interface SourceOptions extends GitAccess {
  readonly repo: string
  readonly branch: string
  /** Folder of the repository that is read, `` for its root. */
  readonly path: string
  /** Absolute path of the state folder. */
  readonly state: string
  /** PATH and proxies of this process's environment. */
  readonly inherited?: Inherited
}

/** The gateway repository, by its mirror. */
export interface Source {
  /** The repository as people are shown it, without credentials. */
  readonly label: string
  /** Looks at the branch and gives its head. The same object as long as the head is the same. Throws `SourceDown`. */
  fetch(signal: AbortSignal): Promise<Tree>
  /** A commit that was fetched before, by its full hash. */
  tree(commit: string): Promise<Tree>
  /** Commits of the branch after `from` and before `to`, newest first, at most `limit`; none where `from` is unknown. */
  skipped(from: string, to: string, limit?: number): Promise<readonly string[]>
  /** How one commit of the branch leads to another. Throws `MirrorBroken` where the mirror lacks one of them. */
  lineage(from: string, to: string): Promise<Lineage>
}

/** Commits that are looked at one by one. */
const mostCommits = 1_000

/** ms that the repository may take to say where its branch is. */
const lookLimit = 60_000

/** Reads a repository through a bare mirror at `mirror.git` of the state folder; touches neither before the first `fetch`. */
export async function openSource(options: SourceOptions): Promise<Source> {
  const source = new MirroredSource(options)
  await source.prepare()
  return source
}

class MirroredSource implements Source {
  readonly label: string
  readonly #options: SourceOptions
  readonly #scene: Scene
  readonly #git: Git
  readonly #mirror: Mirror
  #latest: Tree | undefined
  #broken = false

  constructor(options: SourceOptions) {
    const { repo, state, token } = options
    const repository = readRepository(repo)
    this.label = repository.label
    this.#options = options
    this.#scene = { ...options, repository, home: join(state, 'git'), token: token !== undefined }
    this.#git = createGit(this.#scene, options)
    this.#mirror = new Mirror(join(state, 'mirror.git'), this.#git)
  }

  /** Makes the folder that is git's home, and looks that the files with keys are there. */
  async prepare(): Promise<void> {
    const { sshKeyFile, sshKnownHosts, caFile } = this.#options
    await mkdir(this.#scene.home, { recursive: true, mode: 0o700 })
    const files = { GATEWAY_SSH_KEY_FILE: sshKeyFile, GATEWAY_SSH_KNOWN_HOSTS: sshKnownHosts, GATEWAY_CA_FILE: caFile }
    for (const [variable, file] of Object.entries(files)) {
      if (file === undefined) continue
      await access(file, constants.R_OK).catch((cause: unknown) => {
        throw new SourceDown(`${variable}: ${file} cannot be read; check the path and who may read it`, { cause })
      })
    }
  }

  async fetch(signal: AbortSignal): Promise<Tree> {
    await this.prepare()
    const oid = await this.#branchHead(signal)
    if (this.#latest?.commit === oid) return this.#latest
    this.#latest = await this.#mirrored(oid, signal)
    return this.#latest
  }

  async tree(commit: string): Promise<Tree> {
    try {
      return await this.#tree(hash(commit))
    } catch (cause) {
      if (!(cause instanceof MirrorBroken)) throw cause
      throw new Error(`${this.label}: the mirror has no commit ${commit}`, { cause })
    }
  }

  async skipped(from: string, to: string, limit = 250): Promise<readonly string[]> {
    try {
      return await this.#mirror.between(hash(from), hash(to), limit)
    } catch (error) {
      if (error instanceof MirrorBroken) return []
      throw error
    }
  }

  async lineage(from: string, to: string): Promise<Lineage> {
    const mirror = this.#mirror
    const [rewound, approves, between] = await Promise.all([
      mirror.isAncestor(hash(from), hash(to)).then((isAncestor) => !isAncestor),
      mirror.trailers(from, to, 'Gateway-Approve'),
      mirror.between(from, to, mostCommits),
    ])
    return { rewound, approves, commits: [...between, to] }
  }

  async #branchHead(signal: AbortSignal): Promise<string> {
    const { branch } = this.#options
    const head = (await this.#lsRemote(branch, signal)).get(branch)
    if (head !== undefined) return head
    const heads = await this.#lsRemote('*', signal)
    const pushed = heads.get(branch)
    if (pushed !== undefined) return pushed
    const branches = [...heads.keys()]
    if (branches.length === 0) throw new SourceDown(`${this.label}: has no commit yet; push one to ${branch}`)
    const guess = nearest(branch, branches)
    const others = guess === undefined ? `there are: ${branches.slice(0, 5).join(', ')}` : `did you mean ${guess}?`
    throw new SourceDown(`${this.label}: has no branch ${branch} (${others}); push it or set GATEWAY_BRANCH`)
  }

  /** Branch → commit. */
  async #lsRemote(pattern: string, signal: AbortSignal): Promise<Map<string, string>> {
    const args = ['ls-remote', '--', this.#scene.repository.url, `refs/heads/${pattern}`]
    const listing = await this.#git(args, { remote: true, limit: lookLimit, signal })
    return new Map(
      listing.split('\n').flatMap((line) => {
        const [, oid, branch] = /^([0-9a-f]{40,64})\trefs\/heads\/(.+)$/.exec(line) ?? []
        return oid === undefined || branch === undefined ? [] : [[branch, oid] as const]
      }),
    )
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
      throw new SourceDown(
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

/** git as this source runs it: with credentials only where it speaks to the remote, and with errors that say what to change. */
function createGit(scene: Scene, options: SourceOptions): Git {
  const local = { ...gitEnvironment(scene.home, options.inherited ?? {}), GIT_CEILING_DIRECTORIES: options.state }
  const remote = { ...local, ...accessEnvironment(scene.repository, options) }
  return async (args, run) => {
    const late = AbortSignal.timeout(run.limit)
    const base = run.remote === true ? remote : local
    const env = run.folder === undefined ? base : { ...base, GIT_DIR: run.folder }
    let said = ''
    const git = simpleGit({
      baseDir: scene.home,
      abort: run.signal === undefined ? late : AbortSignal.any([run.signal, late]),
      allowEnvironment: Object.keys(env).filter((name) => name.startsWith('GIT_')),
      unsafe: { allowUnsafeConfigEnvCount: true, allowUnsafeSshCommand: true },
      errors: (error, { exitCode, stdErr }) => {
        said = Buffer.concat(stdErr).toString()
        return error ?? (exitCode === 0 ? undefined : Buffer.from(detail(said)))
      },
    }).env(env)
    try {
      return await git.raw([...args])
    } catch (cause) {
      run.signal?.throwIfAborted()
      throw fault({ scene, run, doing: `git ${args[0]}`, late: late.aborted, said }, cause)
    }
  }
}

interface Failure {
  readonly scene: Scene
  readonly run: GitRun
  readonly doing: string
  readonly late: boolean
  readonly said: string
}

function fault({ scene, run, doing, late, said }: Failure, cause: unknown): SourceDown | MirrorBroken {
  const { label } = scene.repository
  if (late)
    return new SourceDown(`${label}: ${doing} took more than ${run.limit / 1_000} s; tried again by itself`, { cause })
  const advice = explainGit(said, scene, run.remote === true)
  if (advice !== undefined) return new SourceDown(`${label}: ${advice}`, { cause })
  if (run.folder !== undefined) return new MirrorBroken(detail(said), { cause })
  return new SourceDown(`${label}: ${doing} failed: ${detail(said)}`, { cause })
}
