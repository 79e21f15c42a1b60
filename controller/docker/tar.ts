import { dirname } from 'node:path/posix'
import { Readable } from 'node:stream'
import { type Pack, pack } from 'tar-stream'
import type { BuildEntry } from '../host.ts'

/**
 * A tar of the entries in their order, with nothing in it but what they say: no time, no owner. Folders come before what
 * lies in them, for engines make missing ones writable for everybody. `extra` comes last. Errors of `entries` end the stream.
 */
export function packTar(entries: AsyncIterable<BuildEntry>, extra: readonly BuildEntry[] = []): Readable {
  const tar = pack()
  feed(tar, entries, extra).then(
    () => tar.finalize(),
    (error: unknown) => tar.destroy(error instanceof Error ? error : new Error(String(error))),
  )
  return Readable.from(tar, { objectMode: false })
}

async function feed(tar: Pack, entries: AsyncIterable<BuildEntry>, extra: readonly BuildEntry[]): Promise<void> {
  const folders = new Set(['.'])
  for await (const entry of entries) await add(tar, entry, folders)
  for (const entry of extra) await add(tar, entry, folders)
}

async function add(tar: Pack, { path, mode, body }: BuildEntry, folders: Set<string>): Promise<void> {
  for (const folder of foldersOf(path))
    if (!folders.has(folder)) {
      folders.add(folder)
      await write(tar, { name: `${folder}/`, type: 'directory', mode: 0o755 })
    }
  if (mode === '120000') await write(tar, { name: path, type: 'symlink', linkname: body.toString(), mode: 0o777 })
  else await write(tar, { name: path, type: 'file', mode: mode === '100755' ? 0o755 : 0o644 }, body)
}

/** Outermost first. */
function foldersOf(path: string): readonly string[] {
  const folder = dirname(path)
  return folder === '.' ? [] : [...foldersOf(folder), folder]
}

/** Resolves once the reader has taken it. */
function write(tar: Pack, header: Parameters<Pack['entry']>[0], body?: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const entry = { ...header, uid: 0, gid: 0, mtime: new Date(0) }
    const done = (error?: Error | null) => (error ? reject(error) : resolve())
    if (body === undefined) tar.entry(entry, done)
    else tar.entry(entry, body, done)
  })
}
