import { rename, rm } from 'node:fs/promises'
import type { TreeEntry } from '../desired.ts'
import { type Limits, usualLimits } from './limits.ts'

/** Runs git once and gives what it printed; throws `MirrorBroken` where the cause lies with neither the remote nor the machine. */
export type Git = (args: readonly string[], options: GitRun) => Promise<string>

export interface GitRun {
  /** The repository that git works in; absent for none. */
  readonly folder?: string
  /** Whether it speaks to the remote, and so gets the credentials. */
  readonly remote?: boolean
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Settings for it. */
  readonly settings?: Readonly<Record<string, string>>
  /** Exit codes beside 0 that are an answer. */
  readonly answers?: readonly number[]
  /** ms */
  readonly limit: number
  /** ms without a word of git, where it speaks to the remote and is to say how far it is. */
  readonly standstill?: number
  /** Bytes of memory that it may take, where it speaks to the remote. */
  readonly memory?: number
  readonly signal: AbortSignal | undefined
}

/** The mirror is missing or damaged, or lacks what was asked for. */
export class MirrorBroken extends Error {
  override readonly name = 'MirrorBroken'
}

const head = 'refs/gateway/head'
const approval = 'Gateway-Approve'
/** For each call anew: a loss of power may empty the mirror's own configuration. */
const settings = {
  'fetch.fsckObjects': 'true',
  // What is larger goes from wire to disk in pieces, whatever memory there is.
  'core.bigFileThreshold': '16m',
  // A reflog that never expires keeps every commit that the branch ever was at from being collected.
  'core.logAllRefUpdates': 'always',
  'gc.reflogExpire': 'never',
  'gc.reflogExpireUnreachable': 'never',
  'gc.autoDetach': 'false',
}
/** ms */
const quick = 60_000

export interface Upstream {
  readonly url: string
  readonly branch: string
}

/** What lies between two commits of a branch. */
export interface Path {
  /** Whether the later one is the earlier, or descends from it. */
  readonly descends: boolean
  /** Values of the trailer by which a commit approves what is held, of all commits after the one up to the other. */
  readonly approves: readonly string[]
  /** The branch's own commits among them, newest first. */
  readonly commits: readonly string[]
}

/** A bare copy of one branch's whole history. What a force-push takes away stays in it, so that it can be gone back to. */
export class Mirror {
  readonly folder: string
  readonly #fresh: string
  readonly #git: Git
  readonly #limits: Limits
  #last: { readonly from: string; readonly to: string; readonly path: Path } | undefined

  constructor(folder: string, git: Git, limits: Limits = usualLimits) {
    this.folder = folder
    this.#fresh = `${folder}.new`
    this.#git = git
    this.#limits = limits
  }

  /** Brings the branch up to `oid` or what came after it, and gives the commit that it is at then. */
  async follow(upstream: Upstream, oid: string, signal: AbortSignal): Promise<string> {
    if ((await this.#head(this.folder, signal)) === oid) return oid
    // Left by a controller that was killed while it made one.
    await rm(this.#fresh, { recursive: true, force: true })
    await this.#fetch(this.folder, upstream, signal)
    return this.#head(this.folder, signal)
  }

  /** What git does after every fetch by itself, done when nobody waits for it. */
  async tidy(signal: AbortSignal): Promise<void> {
    const { fetch: limit } = this.#limits
    await this.#git(['maintenance', 'run', '--auto', '--quiet'], { folder: this.folder, settings, limit, signal })
  }

  /** Makes the mirror anew beside the old one, and only then takes its place. */
  async remake(upstream: Upstream, oid: string, signal: AbortSignal): Promise<string> {
    const fresh = this.#fresh
    await rm(fresh, { recursive: true, force: true })
    try {
      const format = oid.length === 64 ? 'sha256' : 'sha1'
      await this.#git(['init', '--bare', '--quiet', `--object-format=${format}`, fresh], { limit: quick, signal })
      await this.#fetch(fresh, upstream, signal)
      await rm(this.folder, { recursive: true, force: true })
      await rename(fresh, this.folder)
    } catch (error) {
      await rm(fresh, { recursive: true, force: true })
      throw error
    }
    return this.#head(this.folder, signal)
  }

  /** All files of a commit below a folder, `` for all; paths are relative to it. */
  async list(commit: string, path: string, signal?: AbortSignal): Promise<readonly TreeEntry[]> {
    const below = path === '' ? [] : ['--', `${path}/`]
    const args = ['ls-tree', '-r', '-z', '-l', '--full-tree', commit, ...below]
    const listing = await this.#git(args, { folder: this.folder, limit: quick, signal })
    const skip = path === '' ? 0 : path.length + 1
    return listing
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => readEntry(line, skip))
  }

  /** How the branch came from one commit to another. Two parts of a pass ask for the same, while somebody waits for a grant. */
  async path(from: string, to: string): Promise<Path> {
    if (this.#last?.from !== from || this.#last.to !== to) this.#last = { from, to, path: await this.#walk(from, to) }
    return this.#last.path
  }

  async #walk(from: string, to: string): Promise<Path> {
    const args = ['log', `--format=%x00%H %P%n%(trailers:key=${approval},valueonly,unfold)`, `${from}..${to}`, '--']
    const log = await this.#git(args, { folder: this.folder, limit: quick, signal: undefined })
    const entries = log.split('\0').slice(1).map(readPassed)
    const parents = new Map(entries.map((entry) => [entry.commit, entry.parents]))
    const commits: string[] = []
    for (let at = to; parents.has(at); at = parents.get(at)?.[0] ?? '') commits.push(at)
    return {
      descends: from === to || entries.some((entry) => entry.parents.includes(from)),
      approves: entries.flatMap(({ approves }) => approves),
      commits,
    }
  }

  async #head(folder: string, signal: AbortSignal): Promise<string> {
    const oid = await this.#git(['rev-parse', '--verify', head], { folder, limit: quick, signal })
    return oid.trim()
  }

  async #fetch(folder: string, { url, branch }: Upstream, signal: AbortSignal): Promise<void> {
    const refspec = `+refs/heads/${branch}:${head}`
    const how = [
      '--progress',
      '--force',
      '--update-shallow',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-auto-maintenance',
    ]
    const args = ['fetch', ...how, '--', url, refspec]
    const { fetch: limit, standstill } = this.#limits
    await this.#git(args, { folder, remote: true, settings, limit, standstill, signal })
  }
}

function readPassed(entry: string) {
  const [names = '', ...values] = entry.split('\n')
  const [commit = '', ...parents] = names.split(' ')
  return { commit, parents, approves: values.flatMap((line) => line.split(/\s+/)).filter((value) => value !== '') }
}

function readEntry(line: string, skip: number): TreeEntry {
  const [, mode, oid, size, path] = /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t(.+)$/s.exec(line) ?? []
  if (mode === undefined || oid === undefined || size === undefined || path === undefined)
    throw new MirrorBroken(`git lists a file that it does not have: ${line}`)
  return { path: path.slice(skip), mode, oid, size: size === '-' ? 0 : Number(size) }
}
