import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from './until.ts'

/** What a new user's machine has, and what a pasted line of the welcome uses. */
const programs = ['node', 'npm', 'npx', 'git', 'sh', 'curl', 'sed', 'mktemp', 'date']
const checkout = fileURLToPath(new URL('../..', import.meta.url))
/** ms for one line of the output: several may work on this machine, and all packages may come from far away. */
const limit = 900_000

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/**
 * This checkout's HEAD as a new user has it: cloned into a folder whose name a shell must quote, with a home that is empty and a
 * PATH that holds little more than Node, npm and git. Disposing ends what runs there and removes it.
 */
export interface FreshClone extends AsyncDisposable {
  readonly folder: string
  /** Runs a line in the shell, as pasted into a terminal that was just opened. */
  paste(line: string): Promise<Ended>
  /** `npx --no-install gateway …` in the clone. */
  gateway(...args: readonly string[]): Promise<Ended>
  /** `npm start -- …` in the clone. */
  start(options: readonly string[], env?: Readonly<Record<string, string>>): Started
  /** The processes that stand in the clone or run its Node: id and command line. Linux only. */
  processes(): readonly string[]
}

/** `npm start` in a terminal. */
export interface Started {
  /** All that it has printed. */
  output(): string
  /** Waits for a line of the output, and gives what the pattern's first group found. Fails if the program ends before. */
  line(pattern: RegExp): Promise<string>
  /** Its exit code, once it has ended. */
  readonly ended: Promise<number | null>
  /** Signals all that the terminal would signal, and gives the exit code once that has ended. */
  signal(name: 'SIGINT' | 'SIGHUP' | 'SIGKILL'): Promise<number | null>
}

export async function createFreshClone(): Promise<FreshClone> {
  const root = await mkdtemp(join(tmpdir(), 'fresh-'))
  const folder = join(root, "it's a clone")
  await promisify(execFile)('git', ['clone', '--quiet', '--', checkout, folder])
  await Promise.all(['bin', 'home', 'elsewhere'].map((name) => mkdir(join(root, name))))
  for (const program of programs) await symlink(findProgram(program), join(root, 'bin', program))
  return new TestClone(root, folder)
}

/** The machine's own: not the one that npm puts on the PATH of a script, which is Node 24 of this checkout. */
function findProgram(name: string): string {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  if (found === undefined) throw new Error(`there is no ${name} on the PATH, outside of node_modules`)
  return found
}

/** The way out of this machine, and what npm was told about it. */
function wayOut(): Readonly<Record<string, string>> {
  const wanted =
    /^(https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|npm_config_(registry|cafile|(https_?|no)?proxy|globalconfig))$/i
  const given = Object.entries(process.env).flatMap(([name, value]) =>
    wanted.test(name) && value !== undefined ? [[name, value]] : [],
  )
  const { npm_config_userconfig = join(homedir(), '.npmrc'), npm_config_cache = join(homedir(), '.npm') } = process.env
  return { npm_config_userconfig, npm_config_cache, ...Object.fromEntries(given) }
}

class TestClone implements FreshClone {
  readonly folder: string
  readonly #root: string
  readonly #env: Readonly<Record<string, string>>
  readonly #started: Started[] = []

  constructor(root: string, folder: string) {
    this.folder = folder
    this.#root = root
    this.#env = { ...wayOut(), PATH: join(root, 'bin'), HOME: join(root, 'home') }
  }

  paste(line: string): Promise<Ended> {
    return run('sh', ['-c', line], { cwd: join(this.#root, 'elsewhere'), env: this.#env })
  }

  gateway(...args: readonly string[]): Promise<Ended> {
    return run('npx', ['--no-install', 'gateway', ...args], { cwd: this.folder, env: this.#env })
  }

  start(options: readonly string[], env: Readonly<Record<string, string>> = {}): Started {
    const how = { cwd: this.folder, env: { ...this.#env, ...env } }
    const started = startedAs(
      spawn('npm', ['start', '--', ...options], { ...how, detached: true, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    this.#started.push(started)
    return started
  }

  processes(): readonly string[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => ['cwd', 'exe'].some((link) => this.#holds(linkOf(`/proc/${pid}/${link}`))))
      .map((pid) => `${pid} ${commandOf(pid)}`)
  }

  #holds(path: string): boolean {
    return path === this.folder || path.startsWith(`${this.folder}/`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#started) await started.signal('SIGKILL')
    for (const line of this.processes()) process.kill(Number.parseInt(line, 10), 'SIGKILL')
    await until('nothing runs in the clone', () => this.processes().length === 0)
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5 })
  }
}

function startedAs(child: ChildProcessByStdio<null, Readable, Readable>): Started {
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
  const ended = once(child, 'close').then(() => child.exitCode)
  const isRunning = () => child.exitCode === null && child.signalCode === null
  const find = (pattern: RegExp) => {
    const found = pattern.exec(output)
    if (found === null && !isRunning()) throw new Error(`npm start ended without ${pattern}:\n${output}`)
    return found?.[1] ?? found?.[0]
  }
  return {
    output: () => output,
    ended,
    async line(pattern) {
      return await until(`npm start prints ${pattern}`, () => find(pattern), limit).catch((error: unknown) => {
        throw new Error(`${error}\n${output}`)
      })
    },
    async signal(name) {
      if (isRunning() && child.pid !== undefined) process.kill(-child.pid, name)
      return await ended
    },
  }
}

interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

async function run(program: string, args: readonly string[], how: Surroundings): Promise<Ended> {
  const child = spawn(program, args, { ...how, stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), closed])
  return { code: child.exitCode, out, err }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return 'ended'
  }
}
