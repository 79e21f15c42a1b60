import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { proxyCommand, proxyMemory } from '../../controller/proxy-program.ts'
import { usual } from './environment.ts'
import { until } from './until.ts'

/** `node proxy/main.ts`, as a host starts it. */
export interface ProxyProcess extends AsyncDisposable {
  readonly url: string
  /** Everything that it wrote, both ways. */
  output(): string
  /** Asks it to leave and waits for its exit code. */
  leave(): Promise<number | null>
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  readonly exit: Promise<number | null>
}

export interface ProxyProcessOptions {
  readonly name: string
  readonly port: number
  readonly socket: string
  readonly state: string
  readonly environment?: Readonly<Record<string, string>>
}

const cwd = fileURLToPath(new URL('../..', import.meta.url))
const [, ...command] = proxyCommand

export function spawnProxy(environment: Readonly<Record<string, string>>): {
  child: ChildProcess
  output: () => string
} {
  const child = spawn(process.execPath, command, {
    cwd,
    env: { ...usual, ...proxyMemory, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  return { child, output: () => output }
}

/** Starts a proxy and waits until it listens. */
export async function openProxyProcess({
  name,
  port,
  socket,
  state,
  environment,
}: ProxyProcessOptions): Promise<ProxyProcess> {
  const { child, output } = spawnProxy({
    GATEWAY_PROXY_NAME: name,
    GATEWAY_PROXY_LISTEN: `127.0.0.1:${port}`,
    GATEWAY_TABLE_SOCKET: socket,
    GATEWAY_PROXY_STATE: state,
    ...environment,
  })
  const exit = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null))
  await until(`${name} listens`, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${output()}`)
    return output().includes('listening')
  })
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal)
    return exit
  }
  return {
    url: `http://127.0.0.1:${port}`,
    output,
    exit,
    leave: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}
