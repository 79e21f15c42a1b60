import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { BuildFailed, HostDown } from '../host.ts'
import type { Environment } from './child.ts'
import { birthOf, isCode, signalGroup } from './life.ts'
import { settle } from './tree.ts'

const limit = 300_000
const tailLines = 40

/** What npm installs from. */
export interface Lock {
  /** Hash of both files. */
  readonly hash: string
  readonly manifest: string
  readonly lockfile: string
}

/** The lock of a folder, undefined if it has none. */
export async function readLock(folder: string): Promise<Lock | undefined> {
  const lockfile = await textOf(join(folder, 'package-lock.json'))
  if (lockfile === undefined) return undefined
  const manifest = (await textOf(join(folder, 'package.json'))) ?? ''
  return { lockfile, manifest, hash: createHash('sha256').update(`${manifest}\0${lockfile}`).digest('hex') }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

export interface Npm {
  /** Folder that npm keeps what it has fetched in. */
  readonly cache: string
  /** The controller's: npm needs its user's configuration and the way out. */
  readonly environment: Environment
}

/** Folders of modules, one for each lock, made once. */
export class Modules {
  readonly folder: string
  readonly #npm: Npm

  constructor({ folder, ...npm }: Npm & { readonly folder: string }) {
    this.folder = folder
    this.#npm = npm
  }

  /** Path of the `node_modules` of a lock, which `ensure` makes. */
  path({ hash }: Lock): string {
    return join(this.folder, hash.slice(0, 12), 'node_modules')
  }

  /** Throws `BuildFailed` with the end of npm's output, `HostDown` when the registry was not reached. */
  async ensure(lock: Lock, log: (line: string) => void, signal: AbortSignal): Promise<void> {
    if (existsSync(this.path(lock))) return
    const made = join(this.folder, `.new-${randomUUID()}`)
    try {
      await mkdir(join(made, 'node_modules'), { recursive: true })
      await writeFile(join(made, 'package.json'), lock.manifest)
      await writeFile(join(made, 'package-lock.json'), lock.lockfile)
      await install({ ...this.#npm, folder: made, log }, signal)
      await settle(made, join(this.folder, lock.hash.slice(0, 12)))
    } finally {
      await rm(made, { recursive: true, force: true })
    }
  }
}

interface Install extends Npm {
  readonly folder: string
  readonly log: (line: string) => void
}

async function install(install: Install, signal: AbortSignal): Promise<void> {
  const tail: string[] = []
  const keep = (line: string) => {
    tail.push(line)
    install.log(line)
  }
  const code = await runNpm({ ...install, log: keep }, signal)
  signal.throwIfAborted()
  if (code === 0) return
  const output = tail.slice(-tailLines).join('\n')
  if (/code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/.test(output))
    throw new HostDown(`npm does not reach its registry:\n${output}`)
  throw new BuildFailed(
    `npm ci ${code === undefined ? `was killed, or took more than ${limit / 1000} s` : 'failed'}`,
    output,
  )
}

/** npm's exit code; undefined if it was ended, by the signal or because it took too long. */
async function runNpm({ folder, cache, environment, log }: Install, signal: AbortSignal): Promise<number | undefined> {
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--no-progress', '--logs-max=0']
  const args = ['ci', '--omit=dev', '--ignore-scripts', ...quiet, '--prefix', folder, '--cache', cache]
  const child = spawn('npm', args, {
    cwd: folder,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (child.pid === undefined) {
    const [cause] = await once(child, 'error')
    throw new Error(`npm cannot be started (${cause}): it must be on the PATH`, { cause })
  }
  const birth = birthOf(child.pid)
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', log)
  const enough = AbortSignal.any([signal, AbortSignal.timeout(limit)])
  const end = () => signalGroup(birth, 'SIGKILL')
  if (enough.aborted) end()
  enough.addEventListener('abort', end)
  await once(child, 'close')
  enough.removeEventListener('abort', end)
  return child.exitCode ?? undefined
}
