import {
  type ChildProcess,
  type SpawnOptionsWithStdioTuple,
  type StdioNull,
  type StdioPipe,
  spawn,
} from 'node:child_process'
import { once } from 'node:events'

export interface GroupRun {
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** ms that it may print nothing; absent for as long as it likes. */
  readonly standstill?: number | undefined
  /** Bytes of memory that each of its processes may take; absent for all that there is. */
  readonly memory?: number | undefined
  readonly signal: AbortSignal
}

/** How git ended, and what it printed. */
export interface GitEnd {
  readonly code: number | null
  readonly stdout: string
  /** The end of it. */
  readonly stderr: string
}

/** git was stopped for what it did, or did not do; the message says what. */
export class GitStopped extends Error {
  override readonly name = 'GitStopped'
}

/** Bytes of output. */
const mostOutput = 64 * 2 ** 20
const mostWords = 64 * 2 ** 10
/** ms that a git which is stopped gets to take its locks away. */
const grace = 2_000

/**
 * git in a process group of its own: what it starts (ssh, what speaks HTTP, what unpacks) ends with it, which by itself it would
 * not while the other side is silent. Throws `GitStopped`, and what the signal says.
 */
export async function runGroup(args: readonly string[], run: GroupRun): Promise<GitEnd> {
  const { standstill, signal } = run
  signal.throwIfAborted()
  const git = start(args, run)
  const stopping = new AbortController()
  const stop = AbortSignal.any([signal, stopping.signal])
  const printed = new Printed((why) => stopping.abort(new GitStopped(why)), standstill)
  git.stdout.on('data', (chunk: Buffer) => printed.output(chunk))
  git.stderr.on('data', (chunk: Buffer) => printed.words(chunk))
  let late: NodeJS.Timeout | undefined
  const end = () => {
    signalGroup(git, 'SIGTERM')
    late = setTimeout(() => signalGroup(git, 'SIGKILL'), grace)
  }
  stop.addEventListener('abort', end)
  git.once('exit', () => signalGroup(git, 'SIGKILL'))
  try {
    const [code] = await once(git, 'close')
    stop.throwIfAborted()
    return { code: typeof code === 'number' ? code : null, ...printed.all() }
  } finally {
    stop.removeEventListener('abort', end)
    clearTimeout(late)
    printed[Symbol.dispose]()
  }
}

function start(args: readonly string[], { cwd, env, memory }: GroupRun) {
  const options: SpawnOptionsWithStdioTuple<StdioNull, StdioPipe, StdioPipe> = {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  }
  if (memory === undefined) return spawn('git', args, options)
  const limited = 'ulimit -v "$0" 2>/dev/null; exec git "$@"'
  return spawn('/bin/sh', ['-c', limited, String(memory / 2 ** 10), ...args], options)
}

/** The number of a group is not given away while anything of it is left; where nothing is, nobody hears it. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch {}
}

/** What git prints, with an end to it. */
class Printed implements Disposable {
  readonly #stop: (why: string) => void
  readonly #still: NodeJS.Timeout | undefined
  readonly #output: Buffer[] = []
  #size = 0
  #words = ''

  constructor(stop: (why: string) => void, standstill: number | undefined) {
    this.#stop = stop
    if (standstill !== undefined) this.#still = setTimeout(stop, standstill, `stood still for ${standstill / 1_000} s`)
  }

  output(chunk: Buffer): void {
    this.#still?.refresh()
    this.#size += chunk.length
    if (this.#size <= mostOutput) this.#output.push(chunk)
    else this.#stop(`printed more than ${mostOutput / 2 ** 20} MiB`)
  }

  words(chunk: Buffer): void {
    this.#still?.refresh()
    this.#words = (this.#words + chunk.toString()).slice(-mostWords)
  }

  all() {
    return { stdout: Buffer.concat(this.#output).toString(), stderr: this.#words }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#still)
  }
}
