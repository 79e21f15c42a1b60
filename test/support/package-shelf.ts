import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { createGzip } from 'node:zlib'
import { pack } from 'tar-stream'

/** A registry of one package, `tiny`, that says 'tiny says hello'. */
export interface PackageShelf extends AsyncDisposable {
  /** `package.json` and `package-lock.json` of who depends on it. */
  readonly lock: Readonly<Record<'package.json' | 'package-lock.json', string>>
  /** Times that the package was asked for. */
  readonly asked: () => number
}

/** `answers` gives way to a registry that takes what is asked and never answers. */
export async function openPackageShelf(answer: (done: ServerResponse, tarball: Buffer) => void): Promise<PackageShelf> {
  const tarball = await makeTarball()
  let asked = 0
  const server = createServer((_, response) => {
    asked += 1
    answer(response, tarball)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return {
    lock: lockOf(`http://127.0.0.1:${port}/tiny-1.0.0.tgz`, tarball),
    asked: () => asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

async function makeTarball(): Promise<Buffer> {
  const tar = pack()
  tar.entry(
    { name: 'package/package.json' },
    JSON.stringify({ name: 'tiny', version: '1.0.0', type: 'module', exports: './index.js' }),
  )
  tar.entry({ name: 'package/index.js' }, "export const words = 'tiny says hello'\n")
  tar.finalize()
  return buffer(tar.pipe(createGzip()))
}

function lockOf(resolved: string, tarball: Buffer): PackageShelf['lock'] {
  const manifest = { name: 'leaning', version: '1.0.0', dependencies: { tiny: '1.0.0' } }
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const packages = { '': manifest, 'node_modules/tiny': { version: '1.0.0', resolved, integrity } }
  return {
    'package.json': JSON.stringify(manifest),
    'package-lock.json': JSON.stringify({ ...manifest, lockfileVersion: 3, requires: true, packages }),
  }
}
