import { createHash } from 'node:crypto'
import type { BuildInput } from '../../controller/desired.ts'
import type { BuildEntry, BuildRequest } from '../../controller/host.ts'

export type SourceFile = string | { readonly mode: string; readonly body: string }

export interface MadeInput {
  readonly input: BuildInput
  readonly entries: BuildRequest['entries']
}

/** A build input that lives in memory; `files` by their path in the build context. Spread it into a `BuildRequest`. */
export function buildInputOf(
  files: Readonly<Record<string, SourceFile>>,
  options: Partial<Pick<BuildInput, 'paths' | 'dockerfile' | 'args'>> = {},
): MadeInput {
  const { paths = [], dockerfile = { path: 'Dockerfile' }, args = {} } = options
  const sources = Object.entries(files)
    .map(([path, file]) => entryOf(path, file))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
  const listed = sources.map(({ path, mode, body }) => ({ path, mode, oid: blobOid(body), size: body.length }))
  const lines = listed.map(({ mode, path, oid }) => `${mode} ${path} ${oid}`)
  const hash = createHash('sha256')
    .update([...lines, JSON.stringify([dockerfile, args])].join('\n'))
    .digest('hex')
  return {
    input: { hash, context: '', paths, dockerfile, args, files: listed },
    async *entries(signal) {
      for (const source of sources) {
        signal.throwIfAborted()
        yield source
      }
    },
  }
}

function entryOf(path: string, file: SourceFile): BuildEntry {
  const { mode, body } = typeof file === 'string' ? { mode: '100644', body: file } : file
  return { path, mode, body: Buffer.from(body) }
}

function blobOid(body: Buffer): string {
  return createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex')
}
