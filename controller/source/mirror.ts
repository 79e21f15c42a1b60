import { rename, rm } from 'node:fs/promises'
import type { TreeEntry } from '../desired.ts'

/** Runs git once and gives what it printed; throws `MirrorBroken` where the cause lies with neither the remote nor the machine. */
export type Git = (args: readonly string[], options: GitRun) => Promise<string>

export interface GitRun {
  /** The repository that git works in; absent for none. */
  readonly folder?: string
  /** Whether it speaks to the remote, and so gets the credentials. */
  readonly remote?: boolean
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Exit codes beside 0 that are an answer. */
  readonly answers?: readonly number[]
  /** ms */
  readonly limit: number
  readonly signal: AbortSignal | undefined
}

/** The mirror is missing or damaged, or lacks what was asked for. */
export class MirrorBroken extends Error {
  override readonly name = 'MirrorBroken'
}

const head = 'refs/gateway/head'
const settings = {
  'fetch.fsckObjects': 'true',
  // A reflog that never expires keeps every commit that the branch ever was at from being collected.
  'core.logAllRefUpdates': 'always',
  'gc.reflogExpire': 'never',
  'gc.reflogExpireUnreachable': 'never',
  'gc.autoDetach': 'false',
}
/** ms */
const quick = 60_000
const long = 30 * 60_000

export interface Upstream {
  readonly url: string
  readonly branch: string
}

/** A bare copy of one branch's whole history. What a force-push takes away stays in it, so that it can be gone back to. */
export class Mirror {
  readonly folder: string
  readonly #git: Git

  constructor(folder: string, git: Git) {
    this.folder = folder
    this.#git = git
  }

  /** Brings the branch up to `oid` or what came after it, and gives the commit that it is at then. */
  async follow(upstream: Upstream, oid: string, signal: AbortSignal): Promise<string> {
    if ((await this.#head(this.folder, signal)) === oid) return oid
    await this.#fetch(this.folder, upstream, signal)
    return this.#head(this.folder, signal)
  }

  /** Makes the mirror anew beside the old one, and only then takes its place. */
  async remake(upstream: Upstream, oid: string, signal: AbortSignal): Promise<string> {
    const fresh = `${this.folder}.new`
    await rm(fresh, { recursive: true, force: true })
    const format = oid.length === 64 ? 'sha256' : 'sha1'
    await this.#git(['init', '--bare', '--quiet', `--object-format=${format}`, fresh], { limit: quick, signal })
    for (const [key, value] of Object.entries(settings))
      await this.#git(['config', key, value], { folder: fresh, limit: quick, signal })
    await this.#fetch(fresh, upstream, signal)
    await rm(this.folder, { recursive: true, force: true })
    await rename(fresh, this.folder)
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

  /** Commits of the branch after `from` and before `to`, newest first, at most `limit`; none where `from` is unknown. */
  async between(from: string, to: string, limit: number): Promise<readonly string[]> {
    // With `to` itself, for simple-git waits 50 ms for the output of a git that prints nothing.
    const args = ['rev-list', '--first-parent', `--max-count=${limit + 1}`, `${from}..${to}`]
    const list = await this.#git(args, { folder: this.folder, limit: quick, signal: undefined })
    return list
      .split('\n')
      .filter((line) => line !== '')
      .slice(1)
  }

  /** Whether `to` is `from` or descends from it. */
  async isAncestor(from: string, to: string): Promise<boolean> {
    const args = ['rev-list', '--count', '--max-count=1', `${to}..${from}`]
    return (await this.#git(args, { folder: this.folder, limit: quick, signal: undefined })).trim() === '0'
  }

  /** Values of a trailer in the messages of the commits after `from` up to `to`. */
  async trailers(from: string, to: string, key: string): Promise<readonly string[]> {
    const format = `--format=.%n%(trailers:key=${key},valueonly,unfold)`
    const text = await this.#git(['log', format, `${from}..${to}`, '--'], {
      folder: this.folder,
      limit: quick,
      signal: undefined,
    })
    return text.split(/\s+/).filter((value) => value !== '' && value !== '.')
  }

  async #head(folder: string, signal: AbortSignal): Promise<string> {
    const oid = await this.#git(['rev-parse', '--verify', head], { folder, limit: quick, signal })
    return oid.trim()
  }

  async #fetch(folder: string, { url, branch }: Upstream, signal: AbortSignal): Promise<void> {
    const refspec = `+refs/heads/${branch}:${head}`
    const quiet = ['--force', '--update-shallow', '--no-tags', '--no-write-fetch-head']
    const args = ['fetch', ...quiet, '--', url, refspec]
    await this.#git(args, { folder, remote: true, limit: long, signal })
  }
}

function readEntry(line: string, skip: number): TreeEntry {
  const [, mode, oid, size, path] = /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t(.+)$/s.exec(line) ?? []
  if (mode === undefined || oid === undefined || size === undefined || path === undefined)
    throw new MirrorBroken(`git lists a file that it does not have: ${line}`)
  return { path: path.slice(skip), mode, oid, size: size === '-' ? 0 : Number(size) }
}
