import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Table } from '#manifests/table.ts'
import { proxyCommand, proxyMemory } from '../../controller/proxy-program.ts'
import { freePort } from '../support/port.ts'
import { agentWith, serverAt, wholeGrant } from '../support/proxy.ts'
import { openTableServer } from '../support/table-server.ts'
import { until } from '../support/until.ts'
import { programOf, readyPause, run } from './program.ts'

export interface OurProxy extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** When its process was started, ms of `performance.now()`. */
  readonly began: number
  /** Puts a table in force and waits until the proxy says that it has it; the longest time that the loop of a watched one was blocked meanwhile, ms. */
  use(table: Pick<Table, 'agents' | 'servers'>): Promise<number>
}

const folder = new URL('../..', import.meta.url).pathname
const [, ...args] = proxyCommand

/** Servers of these origins by the names s0, s1 …, and an agent `a` that may use them all. */
export function tableOf(origins: readonly string[]): Pick<Table, 'agents' | 'servers'> {
  const names = origins.map((_, index) => `s${index}`)
  return {
    agents: { a: agentWith('a', Object.fromEntries(names.map((name) => [name, wholeGrant]))) },
    servers: Object.fromEntries(origins.map((origin, index) => [`s${index}`, serverAt(`s${index}`, origin)])),
  }
}

/** Compiled code as hosts keep it for their proxies; a program that lacks its environment says so, and leaves its code there. */
const code = join(tmpdir(), 'bench-code')
spawnSync(process.execPath, args, { cwd: folder, env: { NODE_COMPILE_CACHE: code } })

/** A proxy in a process of its own, with a controller that hands it tables. */
export async function openOurProxy(
  level: 'info' | 'warn',
  first: Pick<Table, 'agents' | 'servers'>,
  loop: 'watched' | 'alone' = 'alone',
): Promise<OurProxy> {
  const stack = new AsyncDisposableStack()
  const controller = stack.use(await openTableServer())
  const state = await mkdtemp(join(tmpdir(), 'bench-'))
  stack.defer(() => rm(state, { recursive: true, force: true }))
  const port = await freePort()
  let revision = 0
  const publish = (table: typeof first) =>
    controller.publish({ revision: ++revision, grantsFile: 'bench', starting: [], draining: [], ...table })
  publish(first)
  const watch = loop === 'watched' ? ['--import', programOf('loop-watch.ts')] : []
  const began = performance.now()
  const running = stack.use(
    run(
      process.execPath,
      [...watch, ...args.map((arg) => (arg.startsWith('-') ? arg : join(folder, arg)))],
      {
        GATEWAY_PROXY_NAME: 'bench',
        GATEWAY_PROXY_LISTEN: `127.0.0.1:${port}`,
        GATEWAY_TABLE_SOCKET: controller.socket,
        GATEWAY_PROXY_STATE: state,
        LOG_LEVEL: level,
        NODE_COMPILE_CACHE: code,
        ...proxyMemory,
      },
      loop === 'watched' ? ['ipc'] : [],
    ),
  )
  running.child.stdout?.resume()
  const url = `http://127.0.0.1:${port}`
  await untilReady(url)
  return {
    url,
    pid: running.pid,
    began,
    use: async (table) => {
      if (loop === 'watched') running.child.send('watch')
      publish(table)
      await until('the table is in force', () => controller.latest.get('bench')?.have === revision, 60_000)
      if (loop === 'alone') return Number.NaN
      const told = once(running.child, 'message')
      running.child.send('tell')
      return Number((await told)[0])
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function untilReady(url: string): Promise<void> {
  const end = Date.now() + 60_000
  const isReady = () => fetch(`${url}/health`).catch(() => undefined)
  while (!(await isReady())?.ok) {
    if (Date.now() > end) throw new Error(`${url} has no table`)
    await sleep(readyPause)
  }
}
