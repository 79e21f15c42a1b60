import { hash } from 'node:crypto'
import { pino } from 'pino'
import { pack } from '#manifests/packed-table.ts'
import type { Grant, Table, TableServer } from '#manifests/table.ts'
import { createApp } from '../../proxy/app.ts'
import { closeGateway, createGateway, type Gateway, type GatewayOptions } from '../../proxy/gateway.ts'
import { listen } from './mcp-upstream.ts'

/** A proxy in this process, with the table that a test puts in force. */
export interface OpenProxy extends AsyncDisposable {
  readonly url: string
  readonly gateway: Gateway
  /** Lines that it logged. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  /** How often it would have spoken up to the controller. */
  spoken(): number
  /** Puts a table in force, with the next revision. */
  use(table: Partial<Table>): void
  /** POSTs a JSON-RPC message, or any text, and reads the answer. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answered>
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and fail if it is something else
  readonly json: any
}

/** Not a secret: the tokens of agents in tests say whose they are. */
export const tokenOf = (agent: string) => `token-of-${agent}`
export const hashOf = (token: string) => hash('sha256', token)
export const wholeGrant: Grant = { tools: ['*'], prompts: ['*'], resources: ['*'] }

export function agentWith(name: string, grants: Readonly<Record<string, Grant>>) {
  return { hashes: [hashOf(tokenOf(name))], grants: { ...grants } }
}

export function serverAt(name: string, origin: string | undefined, more: Partial<TableServer> = {}): TableServer {
  const generation = `${name}@${hash('sha256', origin ?? name)}`
  const upstream = origin === undefined ? {} : { upstream: origin }
  return {
    generation,
    path: '/mcp',
    prefix: name,
    description: `the ${name} server`,
    timeout: 10_000,
    ...upstream,
    ...more,
  }
}

/** A table that lets nobody in, but for its revision. */
export const emptyTable = {
  grantsFile: 'gateway-repo manifests/permissions.yaml',
  agents: {},
  servers: {},
  starting: [],
  draining: [],
}

export async function openProxy(
  options: Pick<GatewayOptions, 'store' | 'budgetStore' | 'sealKey' | 'limits'> = {},
): Promise<OpenProxy> {
  const stop = new AbortController()
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
  const config = {
    name: 'test',
    listen: { host: '127.0.0.1', port: 0 },
    socket: '/absent',
    state: '/absent',
    url: new URL('http://gateway.example:3100'),
    level: 'debug',
  } as const
  let spoken = 0
  const speakUp = () => {
    spoken++
  }
  const gateway = createGateway({ config, log, speakUp, signal: stop.signal, ...options })
  const server = createApp(gateway)
  const url = `http://127.0.0.1:${await listen(server)}`
  let revision = 0
  return {
    url,
    gateway,
    lines,
    spoken: () => spoken,
    use: (table) => {
      gateway.holder.replace(pack({ ...emptyTable, ...table, revision: ++revision }))
    },
    post: (path, body, headers = {}) => post(url + path, body, headers),
    [Symbol.asyncDispose]: async () => {
      if (!server.listening) return
      server.closeAllConnections()
      stop.abort()
      await server[Symbol.asyncDispose]()
      await closeGateway(gateway)
    },
  }
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Answered> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await response.text()
  const json = response.headers.get('content-type') === 'application/json' ? JSON.parse(text) : undefined
  return { status: response.status, headers: response.headers, text, json }
}

export const as = (agent: string) => ({ authorization: `Bearer ${tokenOf(agent)}` })
export const rpc = (method: string, params: object = {}, id: string | number = 1) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
})
