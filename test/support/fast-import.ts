import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

/** A file's content, so many bytes of zeros, what another file has, or nothing (null removes it). */
export type Import = string | null | { readonly zeros: number } | { readonly as: string }

const piece = Buffer.alloc(2 ** 20)

/** A commit on the main branch of a bare repository without a work tree (git-fast-import): for many files, and large ones. Gives its hash. */
export async function importCommit(bare: string, files: Readonly<Record<string, Import>>): Promise<string> {
  const args = ['--git-dir', bare, 'fast-import', '--quiet', '--force', '--big-file-threshold=16m', '--depth=0']
  const git = spawn('git', ['-c', 'core.compression=1', '-c', 'fastimport.unpackLimit=0', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const said = text(git.stderr)
  await pipeline(commands(files, await tip(bare)), git.stdin)
  const [code] = await once(git, 'close')
  if (code !== 0) throw new Error(await said)
  return (await tip(bare)) ?? ''
}

function* commands(files: Readonly<Record<string, Import>>, from: string | undefined): Generator<Buffer> {
  const now = Math.floor(Date.now() / 1_000)
  const head = `commit refs/heads/main\ncommitter Test <test@example.invalid> ${now} +0000\ndata 6\nChange\n`
  yield Buffer.from(`${head}${from === undefined ? '' : `from ${from}\n`}`)
  for (const [path, file] of Object.entries(files)) {
    if (file === null) yield Buffer.from(`D ${path}\n`)
    else if (typeof file === 'string')
      yield Buffer.from(`M 100644 inline ${path}\ndata ${Buffer.byteLength(file)}\n${file}\n`)
    else if ('as' in file) yield Buffer.from(`C ${file.as} ${path}\n`)
    else {
      yield Buffer.from(`M 100644 inline ${path}\ndata ${file.zeros}\n`)
      for (let left = file.zeros; left > 0; left -= piece.length) yield piece.subarray(0, left)
      yield Buffer.from('\n')
    }
  }
}

async function tip(bare: string): Promise<string | undefined> {
  const git = spawn('git', ['--git-dir', bare, 'rev-parse', '--verify', '--quiet', 'refs/heads/main'])
  const said = (await text(git.stdout)).trim()
  return said === '' ? undefined : said
}
