import { careOf } from './signers.ts'

/** A commit, and the paths that it itself changed: a merge only those where it is not what git makes of its parents. */
export interface Change {
  readonly commit: string
  readonly paths: readonly string[]
  readonly isMerge: boolean
}

/** What git says of a commit's signature: `G` is a good one by an allowed signer; all else is not. */
export type Verdict = string

/** A path that does not take effect. */
export interface Unsigned {
  readonly path: string
  readonly commit: string
  readonly because: string
}

/** The newest commit without the signature that it needs, for each of `paths` that has one. Pure. `changes` newest first. */
export function unsignedIn(
  paths: readonly string[],
  changes: readonly Change[],
  verdicts: (commit: string) => Verdict,
): ReadonlyMap<string, Change> {
  const wanted = new Set(paths)
  const found = new Map<string, Change>()
  for (const change of changes)
    for (const path of change.paths)
      if (wanted.has(path) && !found.has(path) && verdicts(change.commit) !== 'G') found.set(path, change)
  return found
}

/** Commits whose signature matters. Pure. */
export function toVerify(paths: readonly string[], changes: readonly Change[]): readonly string[] {
  const wanted = new Set(paths)
  return changes.filter((change) => change.paths.some((path) => wanted.has(path))).map(({ commit }) => commit)
}

/** Why a path stays as it was, in words a person would say. */
export function wordsFor(path: string, change: Change, verdict: Verdict): string {
  const commit = change.commit.slice(0, 12)
  const did = change.isMerge ? `merge ${commit} does more there than git's own merge` : `commit ${commit} changed it`
  return `${did} and is not signed by an allowed signer (${careOf(path)})${detail(verdict)}`
}

function detail(verdict: Verdict): string {
  switch (verdict) {
    case 'N':
      return ''
    case 'gpg':
      return ': GPG signatures are not supported, sign with an ssh key'
    case 'U':
      return ': its key is unknown here, or no longer valid'
    default:
      return ': its signature is not good'
  }
}
