import { posix } from 'node:path'
import { printFile } from '#manifests/text.ts'
import type { ManifestFault, Tree, TreeEntry } from '../desired.ts'
import { faultOfFile } from './manifest.ts'

export interface Context {
  /** What is sent, with paths from the context. */
  readonly files: readonly TreeEntry[]
  readonly context: string
  /** A fault of the context as a whole. */
  readonly blame: (message: string) => ManifestFault
}

const mebi = 1024 ** 2
const mostFiles = 10_000
const largestFile = 64 * mebi
const largestContext = 256 * mebi
const mostFaults = 20
/** Bytes that a path may have on Linux. */
const longestTarget = 4096

/** What cannot be sent to a builder: submodules, LFS pointers, symlinks that lead out, and too much of anything. */
export async function faultsOfContext(
  tree: Tree,
  context: Context,
  signal?: AbortSignal,
): Promise<readonly ManifestFault[]> {
  const { files, blame } = context
  if (files.length > mostFiles)
    return [
      blame(`${files.length} files to build from: at most ${mostFiles}, so name fewer in "paths" or .dockerignore`),
    ]
  const total = files.reduce((sum, { size }) => sum + size, 0)
  const large = total > largestContext ? [blame(`${mebibytes(total)} to build from: at most 256 MiB`)] : []
  const faults = [
    ...large,
    ...files.flatMap((entry) => wrongEntry(entry, context)),
    ...(await faultsOfBodies(tree, context, signal)),
  ]
  return faults.slice(0, mostFaults)
}

function mebibytes(size: number): string {
  return `${Math.ceil(size / mebi)} MiB`
}

function wrongEntry({ path, mode, size }: TreeEntry, context: Context): readonly ManifestFault[] {
  if (mode === '160000')
    return [fileFault(context, path, 'a submodule cannot be built from: its files are not in this repository')]
  if (/[\n\r\0]/.test(path)) return [fileFault(context, path, 'a line break cannot be part of a file’s name')]
  if (mode === '120000' && size > longestTarget)
    return [fileFault(context, path, `a symlink of ${size} bytes: no path has more than ${longestTarget}`)]
  if (size > largestFile) return [fileFault(context, path, `${mebibytes(size)} to build from: at most 64 MiB a file`)]
  return []
}

function fileFault({ context }: Context, path: string, message: string): ManifestFault {
  return faultOfFile(printFile(context === '' ? path : `${context}/${path}`), message)
}

async function faultsOfBodies(tree: Tree, context: Context, signal?: AbortSignal): Promise<readonly ManifestFault[]> {
  const suspects = context.files.filter(isSuspect)
  const faults: ManifestFault[] = []
  let index = 0
  for await (const body of tree.read(
    suspects.map(({ oid }) => oid),
    signal,
  )) {
    const entry = suspects[index++]
    const message = entry && wrongBody(entry, body)
    if (entry && message) faults.push(fileFault(context, entry.path, message))
  }
  return faults
}

/** A pointer holds a version, a hash and a size, and is by its specification smaller than 1024 bytes. */
export function isSuspect({ mode, size }: TreeEntry): boolean {
  return mode === '120000' ? size <= longestTarget : mode !== '160000' && size >= 100 && size < 1024
}

function wrongBody({ path, mode }: TreeEntry, body: Buffer): string | undefined {
  if (mode !== '120000')
    return isPointer(body) ? 'a Git LFS pointer, not the file itself: commit the file without LFS' : undefined
  const target = body.toString('utf8')
  const resolved = posix.join(posix.dirname(path), target)
  if (posix.isAbsolute(target) || resolved === '..' || resolved.startsWith('../'))
    return `a symlink that leaves the build context, to ${JSON.stringify(target.slice(0, 60))}`
}

function isPointer(body: Buffer): boolean {
  const text = body.toString('latin1')
  return /^version https:\/\/\S+\/spec\/v\d+\n/.test(text) && /\noid sha256:[0-9a-f]{64}\n/.test(text)
}
