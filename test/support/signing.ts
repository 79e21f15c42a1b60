import { execFile } from 'node:child_process'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Repository } from './repository.ts'

const run = promisify(execFile)

/** Keys of people of the test. Disposing removes them. */
export interface Keys extends AsyncDisposable {
  readonly folder: string
  /** Path of somebody's private key, made on first use. */
  key(name: string): Promise<string>
  /** A line of an `allowed_signers` file; `options` as `valid-before="…"`. */
  line(name: string, options?: string): Promise<string>
  /** Writes an `allowed_signers` file and gives its path. */
  allow(file: string, ...lines: readonly string[]): Promise<string>
  /** Commits and merges of a repository are signed by somebody from now on, or by nobody. */
  sign(repository: Repository, name: string | undefined): Promise<void>
}

export async function createKeys(): Promise<Keys> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-keys-'))
  const made = new Map<string, Promise<string>>()
  const keys: Keys = {
    folder,
    key(name) {
      const file = join(folder, name)
      const making = made.get(name) ?? make(file)
      made.set(name, making)
      return making
    },
    async line(name, options = '') {
      const text = await readFile(`${await keys.key(name)}.pub`, 'utf8')
      return [`${name}@example.invalid`, options, text.trim()].filter((part) => part !== '').join(' ')
    },
    async allow(file, ...lines) {
      const path = join(folder, file)
      await writeFile(path, `${lines.join('\n')}\n`)
      return path
    },
    async sign({ work }, name) {
      const who = name === undefined ? '' : `[user]\n signingKey = ${await keys.key(name)}\n`
      const how = `[gpg]\n format = ssh\n[commit]\n gpgSign = ${name !== undefined}\n${who}`
      await appendFile(join(work, '.git/config'), how)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
  return keys
}

async function make(file: string): Promise<string> {
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file])
  return file
}
