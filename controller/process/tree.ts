import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, posix, resolve, sep } from 'node:path'
import type { BuildInput } from '../desired.ts'
import { type BuildEntry, BuildFailed, type BuildRequest } from '../host.ts'
import { isCode } from './life.ts'

/** Folder of the tree that a server is started in: its Dockerfile's. */
export function workFolder({ dockerfile }: BuildInput): string {
  return 'path' in dockerfile ? slim(posix.dirname(dockerfile.path)) : ''
}

/**
 * Folder of the tree that gets `node_modules`: the deepest that holds all `paths` and the Dockerfile, so that what a
 * server imports from beside its own folder finds them too.
 */
export function modulesFolder(input: BuildInput): string {
  if (input.paths.length === 0) return ''
  const roots = input.paths.map((path) => (isFile(input, path) ? posix.dirname(path) : path))
  const [first = '', ...rest] = [...roots, workFolder(input)].map(slim)
  return rest.reduce(commonFolder, first)
}

function isFile({ files }: BuildInput, path: string): boolean {
  return files.some((file) => file.path === path)
}

function commonFolder(a: string, b: string): string {
  const [left, right] = [a.split('/'), b.split('/')]
  const differs = left.findIndex((part, at) => part !== right[at])
  return left.slice(0, differs === -1 ? left.length : differs).join('/')
}

function slim(path: string): string {
  const normal = posix.normalize(path).replace(/\/$/, '')
  return normal === '.' ? '' : normal
}

/** Writes the entries below `folder`; links last, so that nothing is written through one. Throws `BuildFailed`. */
export async function unpack(entries: BuildRequest['entries'], folder: string, signal: AbortSignal): Promise<void> {
  const links: BuildEntry[] = []
  for await (const entry of entries(signal)) {
    signal.throwIfAborted()
    const path = resolve(folder, entry.path)
    demandInside(folder, path, entry.path)
    await mkdir(dirname(path), { recursive: true })
    if (entry.mode === '120000') links.push(entry)
    else await writeFile(path, entry.body, { mode: entry.mode === '100755' ? 0o755 : 0o644 })
  }
  for (const { path, body } of links) {
    const link = resolve(folder, path)
    demandInside(folder, resolve(dirname(link), body.toString()), `the link ${path} → ${body}`)
    await symlink(body.toString(), link)
  }
}

function demandInside(folder: string, path: string, what: string): void {
  if (path === folder || path.startsWith(folder + sep)) return
  throw new BuildFailed(`${what} leads out of the build context`, `${what} leads out of the build context`)
}

/** Gives a finished folder its name, unless another build of the same was quicker. */
export async function settle(made: string, name: string): Promise<void> {
  try {
    await rename(made, name)
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY') && !isCode(error, 'EEXIST')) throw error
  }
}
