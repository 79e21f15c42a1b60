import { createHash } from 'node:crypto'
import type { Tree } from '../../controller/desired.ts'

/** A file's text or bytes; or one of another kind, with git's mode, and a size that it only claims. */
export type TreeFile =
  | string
  | Buffer
  | { readonly mode?: string; readonly body?: string | Buffer; readonly size?: number }

/** A commit in memory: paths to contents. `read` counts what was asked of it. */
export function treeOf(
  files: Readonly<Record<string, TreeFile>>,
  commit = 'a'.repeat(40),
): Tree & { readonly reads: string[] } {
  const blobs = new Map<string, Buffer>()
  const reads: string[] = []
  const entries = Object.entries(files).map(([path, file]) => {
    const plain = typeof file === 'string' || Buffer.isBuffer(file) ? { body: file } : file
    const { mode = '100644', body = '', size } = { mode: undefined, size: undefined, ...plain }
    const bytes = Buffer.from(body)
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
    blobs.set(oid, bytes)
    return { path, mode, oid, size: mode === '160000' ? 0 : (size ?? bytes.length) }
  })
  return {
    commit,
    reads,
    list: async () => entries,
    async *read(oids, signal) {
      for (const oid of oids) {
        signal?.throwIfAborted()
        reads.push(oid)
        const blob = blobs.get(oid)
        if (blob === undefined) throw new Error(`no blob ${oid}`)
        yield blob
      }
    },
  }
}

/** What the files of a commit say, by path. */
export async function contents(tree: Tree): Promise<Record<string, string>> {
  const files = await tree.list()
  const oids = files.map(({ oid }) => oid)
  const bodies = await Array.fromAsync(tree.read(oids, AbortSignal.timeout(20_000)))
  return Object.fromEntries(files.map(({ path }, at) => [path, String(bodies[at])]))
}
