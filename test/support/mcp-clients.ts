import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { z } from 'zod'

export interface ToolAnswer {
  readonly text: string
  readonly images: readonly Buffer[]
  /** All of it in its order; what is no text by its type, such as `[image]`. */
  readonly said: string
  readonly isError: boolean
}

/** An agent's connection, whichever library it uses. */
export interface McpClient {
  readonly listTools: () => Promise<readonly string[]>
  readonly callTool: (name: string, args?: Readonly<Record<string, unknown>>) => Promise<ToolAnswer>
  readonly close: () => Promise<void>
}

export type Connect = (endpoint: string, headers?: Readonly<Record<string, string>>) => Promise<McpClient>

const info = { name: 'test', version: '1' }
const Called = z.looseObject({
  content: z.array(z.looseObject({ type: z.string(), text: z.string().default(''), data: z.string().optional() })),
  isError: z.boolean().default(false),
})

/** A result of `tools/call`. */
export function answerOf(result: unknown): ToolAnswer {
  const { content, isError } = Called.parse(result)
  const images = content.flatMap(({ data }) => (data === undefined ? [] : Buffer.from(data, 'base64')))
  const texts = content.filter(({ type }) => type === 'text')
  const said = content.map(({ type, text }) => (type === 'text' ? text : `[${type}]`)).join('\n')
  return { text: texts.map(({ text }) => text).join('\n'), images, said, isError }
}

/** The official client of the first SDK generation, which speaks the protocol with sessions. */
export const connectV1: Connect = async (endpoint, headers = {}) => {
  const client = new V1Client(info)
  await client.connect(new V1Transport(new URL(endpoint), { requestInit: { headers } }))
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args = {}) => answerOf(await client.callTool({ name, arguments: args })),
    close: () => client.close(),
  }
}

/** The official client of the second generation, held to one of the two eras of the protocol, or left the choice. */
export function connectV2(era: 'legacy' | 'modern' | 'auto'): Connect {
  return async (endpoint, headers = {}) => {
    const mode = era === 'modern' ? { pin: '2026-07-28' } : era
    const client = new Client(info, { versionNegotiation: { mode } })
    await client.connect(new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers } }))
    return {
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      callTool: async (name, args = {}) => answerOf(await client.callTool({ name, arguments: args })),
      close: () => client.close(),
    }
  }
}

const Listed = z.looseObject({ tools: z.array(z.looseObject({ name: z.string() })) })

/** The tools in a result of `tools/list`. */
export function namesOf(result: unknown): readonly string[] {
  return Listed.parse(result).tools.map(({ name }) => name)
}

/** What curl sends: no handshake, no Accept, no version. */
export const connectCurl: Connect = async (endpoint, headers = {}) => {
  const ask = async (method: string, params?: unknown) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const asked = { 'content-type': 'application/json', accept: '*/*', ...headers }
    return resultOf(
      await fetch(endpoint, { method: 'POST', headers: asked, body, signal: AbortSignal.timeout(60_000) }),
    )
  }
  return {
    listTools: async () => namesOf(await ask('tools/list')),
    callTool: async (name, args = {}) => answerOf(await ask('tools/call', { name, arguments: args })),
    close: async () => {},
  }
}

/** The result in an answer, be it JSON or an event stream. */
async function resultOf(response: Response): Promise<unknown> {
  const text = await response.text()
  const stream = response.headers.get('content-type')?.startsWith('text/event-stream')
  const message = stream ? /^data: (.*)$/m.exec(text)?.[1] : text
  return z.looseObject({ result: z.unknown() }).parse(JSON.parse(message ?? '')).result
}

/** Every kind of agent that there is. */
export const everyClient: Readonly<Record<string, Connect>> = {
  'the v1 client': connectV1,
  'the v2 client in the legacy era': connectV2('legacy'),
  'the v2 client in the modern era': connectV2('modern'),
  curl: connectCurl,
}
