import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Tree, TreeEntry } from '../desired.ts'

const run = promisify(execFile)
const noOid = '0'.repeat(40)
const atOnce = 16

/**
 * A folder on disk as the tree that committing it would make: what git tracks or would add where it is in a work tree,
 * else all of it but `node_modules` and `.git`. Symlinks are not followed. Rejects where there is no such folder.
 */
export async function openFolder(folder: string, signal?: AbortSignal): Promise<Tree> {
  const listed = (await listByGit(folder, signal)) ?? (await listByWalk(folder, '', signal))
  const entries: TreeEntry[] = []
  for (let at = 0; at < listed.length; at += atOnce) {
    signal?.throwIfAborted()
    const some = await Promise.all(listed.slice(at, at + atOnce).map((path) => readEntry(folder, path)))
    entries.push(...some.flat())
  }
  const paths = new Map(entries.map((entry) => [entry.oid, entry]))
  return {
    commit: 'worktree',
    list: async () => entries,
    async *read(oids, stop) {
      for (const oid of oids) {
        stop?.throwIfAborted()
        const entry = paths.get(oid)
        if (entry === undefined) throw new Error(`${folder} had no file of oid ${oid} when it was opened`)
        yield await readBody(folder, entry)
      }
    },
  }
}

/** Undefined where git is absent, or the folder is in no work tree, or is one that git ignores. */
async function listByGit(folder: string, signal?: AbortSignal): Promise<readonly string[] | undefined> {
  const options = { cwd: folder, maxBuffer: 256 * 1024 ** 2, timeout: 60_000, ...(signal && { signal }) }
  try {
    const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '--deduplicate', '-z'], options)
    const paths = [...new Set(stdout.split('\0'))].filter((path) => path !== '')
    return paths.length === 0 ? undefined : paths.map((path) => path.replace(/\/$/, ''))
  } catch {
    signal?.throwIfAborted()
    return undefined
  }
}

async function listByWalk(root: string, below: string, signal?: AbortSignal): Promise<readonly string[]> {
  signal?.throwIfAborted()
  const found: string[] = []
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    if (entry.name === '.git' || entry.name === 'node_modules') continue
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) found.push(...(await listByWalk(root, path, signal)))
    else found.push(path)
  }
  return found
}

/** Nothing for what git would not add, or a file that is gone; a folder that git lists is another repository. */
async function readEntry(folder: string, path: string): Promise<readonly TreeEntry[]> {
  const file = join(folder, path)
  const stat = await lstat(file).catch(() => undefined)
  if (stat === undefined) return []
  if (stat.isDirectory()) return [{ path, mode: '160000', oid: noOid, size: 0 }]
  if (stat.isSymbolicLink()) {
    const target = Buffer.from(await readlink(file))
    return [{ path, mode: '120000', oid: blobHash(target.length).update(target).digest('hex'), size: target.length }]
  }
  if (!stat.isFile()) return []
  const hash = blobHash(stat.size)
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return [{ path, mode: stat.mode & 0o100 ? '100755' : '100644', oid: hash.digest('hex'), size: stat.size }]
}

/** git's: SHA-1 over a header and the contents. */
function blobHash(size: number) {
  return createHash('sha1').update(`blob ${size}\0`)
}

async function readBody(folder: string, { path, mode }: TreeEntry): Promise<Buffer> {
  const file = join(folder, path)
  return mode === '120000' ? Buffer.from(await readlink(file)) : readFile(file)
}
