import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { answerOf, type Connect, connectV1, connectV2, namesOf } from './mcp-clients.ts'

/** What every client is asked in a journey, whatever its generation. */
export interface Caller extends AsyncDisposable {
  tools(): Promise<readonly string[]>
  /** All text of the result; throws where the call is refused. */
  call(name: string, args: Readonly<Record<string, unknown>>): Promise<string>
}

/** The official clients of both generations, and curl as the old gateway's documentation has it. */
export const callers = { v1: callerOver(connectV1), v2: callerOver(connectV2('auto')), curl: callerOver(connectCurl) }

function callerOver(connect: Connect) {
  return async (url: string, token: string): Promise<Caller> => {
    const { listTools, callTool, close } = await connect(url, bearer(token))
    return {
      tools: listTools,
      async call(name, args) {
        const { said, isError } = await callTool(name, args)
        if (isError) throw new Error(said)
        return said
      },
      [Symbol.asyncDispose]: close,
    }
  }
}

/** The program. */
async function connectCurl(url: string, headers: Readonly<Record<string, string>> = {}): ReturnType<Connect> {
  const all = Object.entries({ ...headers, 'Content-Type': 'application/json' })
  const args = ['-sS', '-X', 'POST', url, ...all.flatMap(([name, value]) => ['-H', `${name}: ${value}`])]
  const ask = async (method: string, params?: unknown) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const { stdout } = await promisify(execFile)('curl', [...args, '-d', body], { maxBuffer: 2 ** 26 })
    const { result, error } = JSON.parse(stdout)
    if (error !== undefined) throw new Error(JSON.stringify(error))
    return result
  }
  return {
    listTools: async () => namesOf(await ask('tools/list')),
    callTool: async (name, args = {}) => answerOf(await ask('tools/call', { name, arguments: args })),
    close: async () => {},
  }
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
