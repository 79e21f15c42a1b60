import type { Tree, TreeEntry } from '../desired.ts'
import { type History, mostCommits, TooLong } from '../source/history.ts'
import { type Change, toVerify, type Unsigned, unsignedIn, wordsFor } from './judge.ts'
import { differing, type Listing, listingOf, overlay } from './overlay.ts'
import { type Care, careOf, type Signers } from './signers.ts'

/** A commit as far as it is trusted. */
export interface Vetted {
  /** Each path that is not trusted is as it was in what it was compared with; the head itself where all are. */
  readonly tree: Tree
  readonly unsigned: readonly Unsigned[]
}

/** What vetting reads through. */
export interface Papers {
  readonly history: History
  readonly signers: Signers
  /** A commit's tree; rejects where the mirror lacks it. */
  readonly tree: (commit: string) => Promise<Tree>
}

/** What a commit is compared with. */
export interface Question {
  readonly head: Tree
  /** The last commit that was applied whole; its paths are trusted. */
  readonly base: Tree | undefined
}

const cares: readonly Care[] = ['default', 'permissions']

/**
 * Holds back each path that a commit since the base changed without the signature that the path needs. Without a base the newest
 * commit of the branch that is signed vouches for all that it holds; where there is none, nothing is trusted.
 */
export async function vet(papers: Papers, { head, base }: Question, signal?: AbortSignal): Promise<Vetted> {
  const entries = await head.list()
  const after = listingOf(entries)
  const kept = new Map<string, TreeEntry | undefined>()
  const unsigned: Unsigned[] = []
  for (const care of cares) {
    const from = base ?? (await anchor(papers, { head, care }, signal))
    const before = from === undefined ? new Map<string, TreeEntry>() : listingOf(await from.list())
    for (const one of await heldOf(papers, { head, from, before, after, care }, signal)) {
      kept.set(one.path, before.get(one.path))
      unsigned.push(one)
    }
  }
  if (unsigned.length === 0) return { tree: head, unsigned: [] }
  return { tree: overlay(head, entries, kept), unsigned: unsigned.sort((a, b) => (a.path < b.path ? -1 : 1)) }
}

async function anchor(
  { history, signers, tree }: Papers,
  { head, care }: { readonly head: Tree; readonly care: Care },
  signal?: AbortSignal,
): Promise<Tree | undefined> {
  try {
    const commit = await history.newestSigned(head.commit, signers[care], signal)
    return commit === undefined ? undefined : await tree(commit)
  } catch (error) {
    if (error instanceof TooLong) return undefined
    throw error
  }
}

interface Pair {
  readonly head: Tree
  readonly from: Tree | undefined
  readonly before: Listing
  readonly after: Listing
  readonly care: Care
}

async function heldOf(papers: Papers, pair: Pair, signal?: AbortSignal): Promise<readonly Unsigned[]> {
  const { head, from, before, after, care } = pair
  const paths = differing(before, after).filter((path) => careOf(path) === care)
  if (paths.length === 0) return []
  if (from === undefined) return paths.map((path) => ({ path, commit: head.commit, because: unvouched(path, care) }))
  const changes = await changesSince(papers, from.commit, head.commit, signal)
  if (changes === undefined)
    return paths.map((path) => ({ path, commit: head.commit, because: `${stays(path, pair)}: ${tooMany}` }))
  const commits = toVerify(paths, changes)
  const verdicts = await papers.history.verdicts(commits, papers.signers[care], signal)
  const verdictOn = (commit: string) => verdicts.get(commit) ?? 'E'
  return [...unsignedIn(paths, changes, verdictOn)].map(([path, change]) => ({
    path,
    commit: change.commit,
    because: `${stays(path, pair)}: ${wordsFor(path, change, verdictOn(change.commit))}`,
  }))
}

async function changesSince(
  { history }: Papers,
  base: string,
  head: string,
  signal?: AbortSignal,
): Promise<readonly Change[] | undefined> {
  try {
    return await history.changes(base, head, signal)
  } catch (error) {
    if (error instanceof TooLong) return undefined
    throw error
  }
}

const tooMany = `more than ${mostCommits} commits came since, too many to look through`

function stays(path: string, { from, before }: Pair): string {
  const base = from?.commit.slice(0, 12)
  return before.has(path) ? `${path} stays as in ${base}` : `${path} stays absent, as in ${base}`
}

function unvouched(path: string, care: Care): string {
  return `${path} stays absent: no commit of the branch is signed by an allowed signer (${care}); sign one, which vouches for all before it: git commit --allow-empty -S`
}
