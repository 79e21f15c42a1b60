import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { createMessageParser } from '../../proxy/sse.ts'
import { usual } from './environment.ts'
import { freePort } from './port.ts'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
export const wrapper = join(root, 'stdio/main.ts')
const odd = join(root, 'test/support/odd-program.ts')

/** The command of a program that does what its tools' names say. */
export const oddProgram = (...habits: string[]) => [process.execPath, odd, ...habits]

/** What is read from an HTTP answer of the wrapper. */
export interface Answered {
  readonly status: number
  readonly type: string
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and fail if it is something else
  readonly json: any
  /** Every message, in order; of a JSON body the one. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and fail if it is something else
  readonly messages: readonly any[]
}

/** A wrapper in a process of its own. It and whatever it started are gone when the test is. */
export interface Wrapped {
  readonly origin: string
  readonly endpoint: string
  readonly pid: number
  readonly log: () => string
  /** Process ids of all that it has started, wherever they are by now; itself not. */
  readonly programs: () => readonly number[]
  /** Waits until there is none of them. */
  empty(): Promise<unknown>
  kill(signal: NodeJS.Signals): Promise<number | null>
  send(
    method: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Answered>
  open(init?: {
    readonly capabilities?: object
    readonly headers?: Readonly<Record<string, string>>
  }): Promise<LegacySession>
}

export interface LegacySession {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  /** Calls a tool; `accept` says whether streams are read. */
  call(name: string, args?: object, more?: CallOptions): Promise<Answered>
  send(message: object): Promise<Answered>
  end(): Promise<Answered>
}

export interface CallOptions {
  readonly id?: unknown
  readonly accept?: string
  readonly token?: string
  readonly signal?: AbortSignal
}

const both = 'application/json, text/event-stream'

export interface WrapperOptions {
  /** Default: one that is free. */
  readonly port?: number
  readonly sessions?: number
  readonly idle?: number
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export async function wrap(command: readonly string[], options: WrapperOptions = {}): Promise<Wrapped> {
  const wrapped = await openWrapper(command, options)
  onTestFinished(() => wrapped[Symbol.asyncDispose]())
  return wrapped
}

/** The same, for whoever ends it themselves. */
export async function openWrapper(
  command: readonly string[],
  options: WrapperOptions = {},
): Promise<Wrapped & AsyncDisposable> {
  const { sessions = 8, idle = 600_000, flags = [], env = {} } = options
  const port = options.port ?? (await freePort())
  const testMark = randomUUID()
  const args = [wrapper, '--sessions', `${sessions}`, '--idle', `${idle}`, ...flags, '--', ...command]
  const child = spawn(process.execPath, args, {
    env: { ...usual, HOST: '127.0.0.1', PORT: `${port}`, TEST_MARK: testMark, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk) => {
    log += chunk
  })
  const ended = once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null))
  const all = () => bearersOf(`TEST_MARK=${testMark}`)
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    return ended
  }
  const dispose = async () => {
    await kill('SIGKILL')
    for (const pid of all()) process.kill(pid, 'SIGKILL')
  }
  await until('the wrapper listens', () => log.includes('serving ') || child.exitCode !== null).catch(dispose)
  if (child.exitCode !== null || child.signalCode !== null) throw new Error(log)
  const origin = `http://127.0.0.1:${port}`
  const programs = () => all().filter((pid) => pid !== child.pid)
  const send: Wrapped['send'] = (method, body, headers, signal) =>
    ask(`${origin}/mcp`, { method, body, headers: headers ?? {}, signal })
  return {
    ...{ origin, endpoint: `${origin}/mcp`, pid: child.pid ?? 0, log: () => log, kill, send },
    programs,
    empty: () => until('no program is left', () => programs().length === 0),
    open: (init) => openSession(send, init),
    [Symbol.asyncDispose]: dispose,
  }
}

/** Processes of this machine that have the entry in their environment; those that have ended have none. */
export function bearersOf(entry: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.filter((pid) => environmentOf(pid).includes(entry)).map(Number)
}

function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}

interface Asking {
  readonly method: string
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal | undefined
}

export async function ask(url: string, { method, body, headers, signal }: Asking): Promise<Answered> {
  const sent = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  const response = await fetch(url, {
    method,
    headers: { accept: both, ...(sent === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    signal: signal ?? AbortSignal.timeout(60_000),
    ...(sent === undefined ? {} : { body: sent }),
  })
  const type = response.headers.get('content-type') ?? ''
  const text = await response.text()
  const messages = type === 'text/event-stream' ? messagesOf(text) : text === '' ? [] : [JSON.parse(text)]
  return { status: response.status, type, headers: response.headers, text, messages, json: messages.at(-1) }
}

export function messagesOf(text: string): unknown[] {
  const found: unknown[] = []
  createMessageParser((one) => found.push(JSON.parse(one))).feed(Buffer.from(text))
  return found
}

export const initialize = (capabilities: object = {}) => ({
  jsonrpc: '2.0',
  id: 'init',
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } },
})

async function openSession(
  send: Wrapped['send'],
  { capabilities = {}, headers: more = {} }: Parameters<Wrapped['open']>[0] = {},
): Promise<LegacySession> {
  const opened = await send('POST', initialize(capabilities), more)
  const id = opened.headers.get('mcp-session-id')
  if (id === null) throw new Error(`no session: ${opened.status} ${opened.text}`)
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' }
  await send('POST', { jsonrpc: '2.0', method: 'notifications/initialized' }, headers)
  let last = 0
  return {
    id,
    headers,
    call: (name, args = {}, { id = ++last, accept = both, token, signal } = {}) => {
      const meta = token === undefined ? {} : { _meta: { progressToken: token } }
      const params = { name, arguments: args, ...meta }
      return send('POST', { jsonrpc: '2.0', id, method: 'tools/call', params }, { ...headers, accept }, signal)
    },
    send: (message) => send('POST', { jsonrpc: '2.0', ...message }, headers),
    end: () => send('DELETE', undefined, headers),
  }
}

/** The text of a tool's answer. */
export function textOf({ json }: Answered): string {
  return json.result.content[0].text
}

/** What people are told of a request that its program could not answer. */
export function faultOf({ json }: Answered): string {
  if (json.error?.code !== -32603) throw new Error(`no such fault: ${JSON.stringify(json)}`)
  return json.error.message
}
