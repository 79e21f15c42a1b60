import { foldersOf } from '../compile/layout.ts'
import type { Tree, TreeEntry } from '../desired.ts'

/** What a tree has at a path, as far as another may differ from it. */
export type Listing = ReadonlyMap<string, TreeEntry>

export function listingOf(entries: readonly TreeEntry[]): Listing {
  return new Map(entries.map((entry) => [entry.path, entry]))
}

/** Paths that two trees do not have alike, sorted. */
export function differing(before: Listing, after: Listing): readonly string[] {
  const isSame = (path: string) => {
    const [a, b] = [before.get(path), after.get(path)]
    return a?.oid === b?.oid && a?.mode === b?.mode
  }
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => !isSame(path)).sort()
}

/** The head's files, but for each path of `kept` what `kept` says: another file, or none. */
export function overlay(
  head: Tree,
  entries: readonly TreeEntry[],
  kept: ReadonlyMap<string, TreeEntry | undefined>,
): Tree {
  const stays = [...kept.values()].flatMap((entry) => entry ?? [])
  const roots = new Set(stays.map(({ path }) => path))
  const folders = new Set(stays.flatMap(({ path }) => foldersOf(path)))
  // A file where a kept one needs a folder, or the other way around, cannot be there beside it.
  const fits = ({ path }: TreeEntry) =>
    !kept.has(path) && !folders.has(path) && !foldersOf(path).some((folder) => roots.has(folder))
  const files = [...entries.filter(fits), ...stays].sort((a, b) => (a.path < b.path ? -1 : 1))
  return { commit: head.commit, list: async () => files, read: (oids, signal) => head.read(oids, signal) }
}
