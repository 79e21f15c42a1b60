import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Budget } from '#manifests/table.ts'
import { freePort } from '../support/port.ts'
import { as, hashOf, rpc, tokenOf } from '../support/proxy.ts'
import { mcpHeaders, modernCall, type Target } from './load.ts'
import { openOurProxy, tableOf } from './our-proxy.ts'
import { type Peers, peerProgram } from './peers.ts'
import { childrenOf } from './process-cost.ts'
import { programOf, type Running, readyPause, run } from './program.ts'

/** A way that calls can take to a server. */
export interface Way {
  readonly name: string
  open(origins: readonly string[]): Promise<OpenWay>
}

export interface OpenWay extends AsyncDisposable {
  readonly target: Target
  /** Of what stands between; none for direct calls. */
  pids(): readonly number[]
  /** From its start until it answers a call, ms. */
  readonly startUp: number
}

const direct: Way = {
  name: 'direct',
  open: async ([origin]) => ({
    target: modernCall(`${origin}/mcp`, 'echo', {}),
    pids: () => [],
    startUp: 0,
    [Symbol.asyncDispose]: async () => {},
  }),
}

const bare: Way = {
  name: 'bare Node proxy',
  open: async ([origin]) => {
    const port = await freePort()
    const began = performance.now()
    const args = [programOf('bare-proxy.ts'), `${port}`, new URL(`${origin}`).port, hashOf(tokenOf('a'))]
    return opened(run(process.execPath, args), modernCall(at(port), 'echo', as('a')), began)
  },
}

const nginx: Way = {
  name: 'nginx',
  open: async ([origin]) => {
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'bench-nginx-'))
    const { host } = new URL(`${origin}`)
    await writeFile(join(folder, 'nginx.conf'), nginxConfig(folder, port, host))
    const began = performance.now()
    const running = run('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')])
    const way = await opened(running, modernCall(at(port), 'echo', {}), began)
    const dispose = async () => {
      await running[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    }
    return { ...way, pids: () => childrenOf(running.pid), [Symbol.asyncDispose]: dispose }
  },
}

function nginxConfig(folder: string, port: number, upstream: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/t;`)
  return `daemon off; worker_processes 1; user root; pid ${folder}/pid; events {}
http { access_log off; ${temporary.join(' ')} upstream up { server ${upstream}; keepalive 64; }
server { listen 127.0.0.1:${port}; keepalive_requests 10000000; location / {
proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n`
}

/** A program that bridges one stdio server to HTTP, with a session. */
function peer(name: keyof Peers, args: (port: number) => readonly string[]): Way {
  return {
    name,
    open: async () => {
      const program = await peerProgram(name)
      const port = await freePort()
      const began = performance.now()
      const running = run(process.execPath, [program, ...args(port)])
      running.child.stdout?.resume()
      const session = await begun(at(port))
      const headers = { ...mcpHeaders, 'mcp-session-id': session }
      const call = rpc('tools/call', { name: 'echo', arguments: { text: 'hello' } })
      return opened(running, { url: at(port), headers, call }, began)
    },
  }
}

const stdio = ['node', programOf('upstream.ts'), 'stdio'] as const
const mcpProxy = peer('mcp-proxy', (port) => [
  '--port',
  `${port}`,
  '--host',
  '127.0.0.1',
  '--server',
  'stream',
  '--',
  ...stdio,
])
const supergateway = peer('supergateway', (port) => [
  ...['--stdio', stdio.join(' '), '--outputTransport', 'streamableHttp', '--stateful'],
  ...['--port', `${port}`, '--logLevel', 'none'],
])

function ours(path: string, name: string, extra: 'plain' | 'audit and budget' = 'plain'): Way {
  return {
    name: extra === 'plain' ? `ours ${path}` : `ours ${path}, ${extra}`,
    open: async (origins) => {
      const table = tableOf(origins)
      const budgets: Record<string, Budget> = { all: { calls: 1_000_000_000, per: 'day', tools: ['*'] } }
      const [s0] = Object.values(table.servers)
      if (s0 === undefined) throw new Error('no server')
      const isPlain = extra === 'plain'
      const servers = isPlain ? table.servers : { ...table.servers, s0: { ...s0, budgets } }
      const proxy = await openOurProxy(isPlain ? 'warn' : 'info', { ...table, servers })
      const running = { pid: proxy.pid, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() }
      return opened(running, modernCall(`${proxy.url}${path}`, name, as('a')), proxy.began)
    },
  }
}

/** All ways, those first that the others are compared with; without what this machine lacks. */
export const ways: readonly Way[] = [
  direct,
  bare,
  ...(['/usr/sbin/nginx', '/usr/bin/nginx'].some((path) => existsSync(path)) ? [nginx] : []),
  mcpProxy,
  supergateway,
  ours('/mcp/s0', 'echo'),
  ours('/mcp', 's0__echo'),
  ours('/mcp', 's0__echo', 'audit and budget'),
]

const at = (port: number) => `http://127.0.0.1:${port}/mcp`

async function opened(
  running: Pick<Running, 'pid'> & AsyncDisposable,
  target: Target,
  began: number,
): Promise<OpenWay> {
  await answered(target)
  const startUp = performance.now() - began
  return { target, startUp, pids: () => [running.pid], [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
}

/** Waits until a call succeeds. */
async function answered({ url, headers, call }: Target): Promise<void> {
  await asked(url, call, headers, (text) => text.includes('"content"'))
}

/** Begins a session and gives its id. */
async function begun(url: string): Promise<string> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
  const answer = await asked(url, rpc('initialize', params), {}, (text) => text.includes('"result"'))
  const session = answer.headers.get('mcp-session-id')
  if (session === null) throw new Error(`${url} gives no session`)
  const headers = { ...mcpHeaders, 'mcp-session-id': session }
  const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await (await fetch(url, { method: 'POST', headers, body })).text()
  return session
}

async function asked(
  url: string,
  message: object,
  headers: Readonly<Record<string, string>>,
  isGood: (text: string) => boolean,
) {
  const end = Date.now() + 30_000
  for (;;) {
    const options = { method: 'POST', headers: { ...mcpHeaders, ...headers }, body: JSON.stringify(message) }
    const answer = await fetch(url, options).catch(() => undefined)
    if (answer !== undefined && isGood(await answer.text())) return answer
    if (Date.now() > end) throw new Error(`${url} does not answer: ${answer?.status}`)
    await sleep(readyPause)
  }
}
