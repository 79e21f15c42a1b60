import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

/** What every client is asked in a journey, whatever its generation. */
export interface Caller extends AsyncDisposable {
  tools(): Promise<readonly string[]>
  /** All text of the result; throws where the call is refused. */
  call(name: string, args: Readonly<Record<string, unknown>>): Promise<string>
}

/** The official clients of both generations, and curl as the old gateway's documentation has it. */
export const callers = { v1: connectLegacy, v2: connectModern, curl: connectCurl } as const

const info = { name: 'journey', version: '1.0.0' }

async function connectLegacy(url: string, token: string): Promise<Caller> {
  const client = new LegacyClient(info)
  await client.connect(new LegacyTransport(new URL(url), { requestInit: { headers: bearer(token) } }))
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args) => textOf(await client.callTool({ name, arguments: { ...args } })),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

async function connectModern(url: string, token: string): Promise<Caller> {
  const client = new ModernClient(info, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new ModernTransport(new URL(url), { requestInit: { headers: bearer(token) } }))
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args) => textOf(await client.callTool({ name, arguments: { ...args } })),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

async function connectCurl(url: string, token: string): Promise<Caller> {
  const ask = async (method: string, params?: unknown) =>
    answerOf(await curl(url, token, { jsonrpc: '2.0', id: 1, method, params }))
  return {
    tools: async () => {
      const { tools } = await ask('tools/list')
      return Array.isArray(tools) ? tools.map(({ name }) => String(name)) : []
    },
    call: async (name, args) => textOf(await ask('tools/call', { name, arguments: args })),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function curl(url: string, token: string, body: unknown): Promise<string> {
  const args = [
    '-sS',
    '-X',
    'POST',
    url,
    '-H',
    `Authorization: Bearer ${token}`,
    '-H',
    'Content-Type: application/json',
  ]
  const { stdout } = await promisify(execFile)('curl', [...args, '-d', JSON.stringify(body)], { maxBuffer: 2 ** 26 })
  return stdout
}

function answerOf(text: string): Record<string, unknown> {
  const { result, error } = JSON.parse(text)
  if (error !== undefined) throw new Error(JSON.stringify(error))
  return result
}

function textOf(result: Record<string, unknown>): string {
  const content = Array.isArray(result.content) ? result.content : []
  const text = content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n')
  if (result.isError === true) throw new Error(text)
  return text
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` }
}

/** One call of a tool as a bare POST: its HTTP status and parsed body. */
export async function post(url: string, token: string | undefined, body: unknown, signal?: AbortSignal) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : bearer(token)) },
    body: JSON.stringify(body),
    signal: signal ?? AbortSignal.timeout(60_000),
  })
  return { status: response.status, body: await response.json() }
}

/** Calls from several callers at once until told to stop; what failed is kept with its time. */
export interface Load {
  stop(): Promise<{ readonly calls: number; readonly failures: readonly string[] }>
}

export function startLoad(call: () => Promise<void>, width = 4): Load {
  let going = true
  let calls = 0
  const failures: string[] = []
  const began = Date.now()
  const loop = async () => {
    while (going) {
      await call().catch((error: unknown) => failures.push(`after ${Date.now() - began} ms: ${error}`))
      calls++
    }
  }
  const loops = Array.from({ length: width }, loop)
  return {
    async stop() {
      going = false
      await Promise.all(loops)
      return { calls, failures }
    },
  }
}

/** A stream that stays open until somebody ends it: the modern protocol's subscription, once it is acknowledged. */
export async function openStream(url: string, token: string): Promise<{ readonly ended: Promise<'ended'> }> {
  const version = '2026-07-28'
  const meta = { 'io.modelcontextprotocol/protocolVersion': version, 'io.modelcontextprotocol/clientCapabilities': {} }
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      ...bearer(token),
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': version,
      'mcp-method': 'subscriptions/listen',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: { notifications: { toolsListChanged: true }, _meta: meta },
    }),
    signal: AbortSignal.timeout(120_000),
  })
  const reader = response.body?.getReader()
  if (response.status !== 200 || reader === undefined)
    throw new Error(`no stream: ${response.status} ${await response.text()}`)
  const first = new TextDecoder().decode((await reader.read()).value)
  if (!first.includes('acknowledged')) throw new Error(`the stream began with ${first}`)
  return { ended: untilEnd(reader) }
}

async function untilEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<'ended'> {
  try {
    while (!(await reader.read()).done);
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError') throw error
  }
  return 'ended'
}
