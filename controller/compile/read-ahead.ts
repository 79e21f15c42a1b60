import { posix } from 'node:path'
import type { Tree, TreeEntry } from '../desired.ts'
import { isSuspect } from './context-faults.ts'

/** Bytes of one file, and of all, that are read before anybody asks for them. */
const mostOfOne = 2 ** 20
const most = 64 * 2 ** 20

/** The tree, with all that compiling may look at read at once: a process of git for each file would take far longer. */
export async function readAhead(tree: Tree, entries: readonly TreeEntry[], signal?: AbortSignal): Promise<Tree> {
  let left = most
  const wanted = entries.filter((entry) => {
    if (!isRead(entry) || entry.size > Math.min(mostOfOne, left)) return false
    left -= entry.size
    return true
  })
  const oids = [...new Set(wanted.map(({ oid }) => oid))]
  const bodies = new Map<string, Buffer>()
  for await (const body of tree.read(oids, signal)) bodies.set(oids[bodies.size] ?? '', body)
  return {
    ...tree,
    read: (asked, abort) =>
      asked.every((oid) => bodies.has(oid)) ? fromMemory(asked, bodies) : tree.read(asked, abort),
  }
}

/** All of one file. */
export async function readBlob(tree: Tree, { oid }: TreeEntry, signal?: AbortSignal): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(tree.read([oid], signal)))
}

async function* fromMemory(oids: readonly string[], bodies: ReadonlyMap<string, Buffer>): AsyncGenerator<Buffer> {
  for (const oid of oids) yield bodies.get(oid) ?? Buffer.alloc(0)
}

function isRead(entry: TreeEntry): boolean {
  const { path, mode } = entry
  if (mode === '160000') return false
  return isSuspect(entry) || posix.basename(path).endsWith('.dockerignore') || /^manifests\/.*\.ya?ml$/.test(path)
}
