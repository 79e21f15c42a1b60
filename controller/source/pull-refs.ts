import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBareGit, failureOf, TreeTooLarge } from './bare-tree.ts'
import type { Inherited } from './git-environment.ts'
import { sweepLeftovers } from './leftovers.ts'
import { type Git, MirrorBroken } from './mirror.ts'

/** Heads of pull requests, beside the mirror and never in it: whoever may ask for a merge has written them. */
export interface PullRefs {
  /** The bare repository that holds them, and what the mirror has. */
  readonly folder: string
  /**
   * Fetches a pull request's head from the repository that it asks to be merged into, and gives its commit. Throws `SourceDown`
   * for the way there, `PullFault` for what its author must put right.
   */
  fetch(number: number, signal: AbortSignal): Promise<string>
  /** The commit that git would make of both, or the paths that it cannot merge. Throws `PullFault`. */
  merge(base: string, head: string, signal: AbortSignal): Promise<Merged>
  /** Forgets all but these, with what only they needed. */
  keep(numbers: ReadonlySet<number>, signal: AbortSignal): Promise<void>
}

export type Merged = { readonly commit: string } | { readonly conflicts: readonly string[] }

/** Somebody wrote what cannot be judged. */
export class PullFault extends Error {
  override readonly name = 'PullFault'
}

export interface PullRefsOptions {
  readonly url: string
  /** Where the heads are kept. */
  readonly folder: string
  /** The branch's own bare repository. */
  readonly mirror: string
  /** git as it speaks to the remote. */
  readonly git: Git
  readonly inherited: Inherited
}

/** All heads together, bytes. */
const largest = 256 * 2 ** 20
/** ms */
const quick = 30_000
const fetchLimit = 120_000
const lookEvery = 200

const ref = (number: number) => `refs/pulls/${number}`

export function createPullRefs(options: PullRefsOptions): PullRefs {
  const { folder } = options
  const local = createBareGit(options)
  return {
    folder,
    async fetch(number, signal) {
      await prepare(options, signal)
      try {
        await fetchHead(options, number, signal)
        return (await local(['rev-parse', '--verify', `${ref(number)}^{commit}`], { limit: quick, signal })).trim()
      } catch (error) {
        signal.throwIfAborted()
        // Whatever is half there is not worth keeping: the branch has a repository of its own.
        if (error instanceof MirrorBroken || error instanceof PullFault)
          await rm(folder, { recursive: true, force: true })
        throw error instanceof MirrorBroken
          ? new PullFault(`git refuses it: ${error.message}`, { cause: error })
          : error
      }
    },
    merge: (base, head, signal) => mergeTrees(local, { base, head }, signal),
    async keep(numbers, signal) {
      await sweepLeftovers(folder)
      const names = await readdir(join(folder, 'refs', 'pulls')).catch(() => [])
      const gone = names.filter((name) => !numbers.has(Number(name)))
      if (gone.length === 0) return
      if (gone.length === names.length) return rm(folder, { recursive: true, force: true })
      for (const name of gone) await local(['update-ref', '-d', ref(Number(name))], { limit: quick, signal })
      await local(['gc', '--quiet', '--prune=now'], { limit: fetchLimit, signal })
    },
  }
}

/** What the mirror has is had here, too, without a copy, and is not fetched again. */
async function prepare({ folder, mirror, git }: PullRefsOptions, signal: AbortSignal): Promise<void> {
  if ((await stat(join(folder, 'objects', 'info', 'alternates')).catch(() => undefined)) !== undefined) return
  await rm(folder, { recursive: true, force: true })
  const format = (await git(['rev-parse', '--show-object-format'], { folder: mirror, limit: quick, signal })).trim()
  await git(['init', '--bare', '--quiet', `--object-format=${format}`, folder], { limit: quick, signal })
  for (const [key, value] of [
    ['fetch.fsckObjects', 'true'],
    ['core.bigFileThreshold', '16m'],
    ['gc.auto', '0'],
    ['gc.packRefs', 'false'],
  ] as const)
    await git(['config', key, value], { folder, limit: quick, signal })
  await mkdir(join(folder, 'objects', 'info'), { recursive: true })
  await writeFile(join(folder, 'objects', 'info', 'alternates'), `${join(mirror, 'objects')}\n`)
}

async function fetchHead({ folder, url, git }: PullRefsOptions, number: number, signal: AbortSignal): Promise<void> {
  const refspec = `+refs/pull/${number}/head:${ref(number)}`
  const args = ['fetch', '--quiet', '--force', '--no-tags', '--no-write-fetch-head', '--', url, refspec]
  const fence = new AbortController()
  const watch = setInterval(() => void look(), lookEvery)
  const look = async () => {
    if ((await sizeOf(folder)) > largest)
      fence.abort(new PullFault(`it brings more than ${largest / 2 ** 20} MiB: at most that is looked at`))
  }
  try {
    await git(args, { folder, remote: true, limit: fetchLimit, signal: AbortSignal.any([signal, fence.signal]) })
    await look()
    fence.signal.throwIfAborted()
  } finally {
    clearInterval(watch)
  }
}

/** Packs, whole ones and those that are on their way, and what is small enough to lie beside them, bytes. */
async function sizeOf(folder: string): Promise<number> {
  const packs = join(folder, 'objects', 'pack')
  const names = await readdir(packs).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(packs, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

/** As git merges, and a forge by it. */
async function mergeTrees(local: Git, ends: { base: string; head: string }, signal: AbortSignal): Promise<Merged> {
  const args = ['merge-tree', '--write-tree', '--no-messages', '--name-only', '-z', ends.base, ends.head]
  try {
    // A tree can name itself so often that no merge of it ends; its list has an end.
    await local(['ls-tree', '-r', '-z', '--full-tree', ends.head], { limit: quick, signal })
    const tree = (await local(args, { limit: quick, signal })).split('\0')[0]?.trim() ?? ''
    return { commit: await commitMerge(local, { ...ends, tree }, signal) }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof TreeTooLarge) throw new PullFault(error.message, { cause: error })
    const { code, stdout, isKilled } = failureOf(error)
    if (isKilled) throw new PullFault(`git took more than ${quick / 1_000} s to merge it`, { cause: error })
    if (code === 1) return { conflicts: [...new Set(stdout.split('\0').slice(1))].filter((path) => path !== '') }
    if (code === 128)
      throw new PullFault('git cannot merge it: has it any history in common with the branch?', { cause: error })
    throw error
  }
}

/** The same commit for the same ends: nobody's, at no time. */
async function commitMerge(local: Git, ends: { base: string; head: string; tree: string }, signal: AbortSignal) {
  const { base, head, tree } = ends
  const who = ['AUTHOR', 'COMMITTER'].flatMap((role) => [
    [`GIT_${role}_NAME`, 'nobody'],
    [`GIT_${role}_EMAIL`, 'nobody@localhost'],
    [`GIT_${role}_DATE`, '@0 +0000'],
  ])
  const args = ['commit-tree', tree, '-p', base, '-p', head, '-m', 'Merge']
  return (await local(args, { limit: quick, signal, env: Object.fromEntries(who) })).trim()
}
