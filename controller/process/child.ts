import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { type Birth, birthOf, isCode } from './life.ts'
import type { UnitRecord } from './table.ts'

export interface Launch {
  readonly command: UnitRecord['launch']['command']
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  /** File that takes its output. */
  readonly log: string
}

/**
 * Starts a child in a process group of its own. It becomes its program only once `record` has returned, and ends if that
 * never happens: a controller that is killed before it has recorded a child leaves none behind. What keeps the program from
 * starting is in its log, with the exit code of a shell. Throws if the folder is gone.
 */
export async function startChild(launch: Launch, record: (birth: Birth, child: ChildProcess) => void): Promise<void> {
  const child = hold(launch)
  child.stdin?.on('error', () => {}) // it has ended already; its exit says so
  child.unref()
  if (child.pid === undefined)
    throw new Error(`cannot start a process in ${launch.folder}`, { cause: (await once(child, 'error'))[0] })
  try {
    record(birthOf(child.pid), child)
    child.stdin?.end('go\n')
  } catch (error) {
    child.stdin?.destroy()
    throw error
  }
}

function hold({ command, folder, env, log }: Launch): ChildProcess {
  const [program = '', ...args] = command
  const argv = [program === 'node' ? process.execPath : program, ...args]
  const output = openSync(log, 'a', 0o600)
  try {
    return spawn('/bin/sh', ['-c', 'read -r _ && exec "$@" </dev/null', 'sh', ...argv], {
      cwd: folder,
      env,
      detached: true,
      stdio: ['pipe', output, output],
    })
  } finally {
    closeSync(output)
  }
}

/** As a shell tells it: 128 and its number for a signal. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
}

/** What a process of this machine finds around it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** What every child gets of the controller's environment, beside its own. */
export function childEnvironment(home: string, environment: Environment): Readonly<Record<string, string>> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', LANG = 'C.UTF-8', TZ } = environment
  const always = { PATH, HOME: home, LANG }
  return TZ === undefined ? always : { ...always, TZ }
}

export function whereToListen(port: number | undefined): Readonly<Record<string, string>> {
  return port === undefined ? {} : { PORT: String(port), HOST: '127.0.0.1' }
}

/** Whether nobody listens there; an address that this machine lacks, or may not use, is not told from one that is free. */
export function isFree({ host, port }: { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise((found) => {
    const server = createServer()
    server.once('error', (error) => found(!isCode(error, 'EADDRINUSE')))
    server.listen({ host, port, exclusive: true }, () => server.close(() => found(true)))
  })
}

/** Below the ports that kernels give to whoever connects, so that none is taken before its program listens. */
const ports = { from: 20_000, count: 10_000 }
let next = randomInt(ports.count)

/** A port of 127.0.0.1 that nobody has now, and that is given to nobody else for a while. Throws where all are taken. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < ports.count; tried++) {
    const port = ports.from + (next++ % ports.count)
    if (await isFree({ host: '127.0.0.1', port })) return port
  }
  throw new Error(`no port of 127.0.0.1 from ${ports.from} to ${ports.from + ports.count - 1} is free`)
}
