import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { fileURLToPath } from 'node:url'

/** A program of this folder. */
export const programOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** Between two looks whether a program is ready, ms. */
export const readyPause = 2

/** A process that ends when it is disposed of. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcess
  readonly pid: number
}

export function run(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  more: readonly 'ipc'[] = [],
): Running {
  const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...environment }
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore', ...more] })
  if (child.pid === undefined) throw new Error(`${command} does not start`)
  return {
    child,
    pid: child.pid,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill()
      const late = setTimeout(() => child.kill('SIGKILL'), 2_000)
      await once(child, 'exit')
      clearTimeout(late)
    },
  }
}

export interface Upstreams extends AsyncDisposable {
  readonly origins: readonly string[]
}

/** Servers of `upstream.ts`, over HTTP, in one process. */
export async function openUpstreams(kind: 'plain' | 'sdk', { tools = 10, servers = 1 } = {}): Promise<Upstreams> {
  const running = run(process.execPath, [programOf('upstream.ts'), kind, `${tools}`, `${servers}`])
  const { stdout } = running.child
  if (stdout === null) throw new Error('the upstream has no output')
  const { value } = await createInterface(stdout)[Symbol.asyncIterator]().next()
  const ports = String(value).split(' ')
  return {
    origins: ports.map((port) => `http://127.0.0.1:${port}`),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
