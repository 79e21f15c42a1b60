import { z } from 'zod'
import { as, type OpenProxy } from './proxy.ts'

/** One JSON-RPC message, as far as tests look into it. */
export const Said = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().optional(),
  params: z.looseObject({}).optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ code: z.number(), message: z.string() }).optional(),
})
export type Said = z.infer<typeof Said>

const version = '2026-07-28'

/** Where a client asks, and as what. */
export interface Way {
  readonly url: string
  readonly era: 'legacy' | 'modern'
  readonly headers: Readonly<Record<string, string>>
  readonly capabilities: object
}

export interface Entering {
  readonly path: string
  readonly era: 'legacy' | 'modern'
  readonly agent: string
  readonly capabilities?: object
}

/** Begins a session where the client's era has one. */
export async function enter(proxy: OpenProxy, { path, era, agent, capabilities = {} }: Entering): Promise<Way> {
  const base = { ...as(agent), 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const url = proxy.url + path
  if (era === 'modern') return { url, era, headers: { ...base, 'mcp-protocol-version': version }, capabilities }
  const about = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'wire', version: '1' } }
  const answer = await askOf({ url, era, headers: base, capabilities }, 'initialize', about)
  await answer.text()
  const id = answer.headers.get('mcp-session-id')
  if (id === null) throw new Error(`no session: HTTP ${answer.status}`)
  const headers = { ...base, 'mcp-session-id': id }
  const told = { jsonrpc: '2.0', method: 'notifications/initialized' }
  await fetch(url, { method: 'POST', headers, body: JSON.stringify(told) }).then((one) => one.text())
  return { url, era, headers, capabilities }
}

/** Puts a request, and gives the response as it begins. */
export function askOf(
  { url, era, headers, capabilities }: Way,
  method: string,
  params: Readonly<Record<string, unknown>>,
  id: string | number = 1,
  signal = AbortSignal.timeout(20_000),
): Promise<Response> {
  if (era === 'legacy') return send(url, headers, { jsonrpc: '2.0', id, method, params }, signal)
  const own = typeof params._meta === 'object' ? params._meta : {}
  const prefix = 'io.modelcontextprotocol'
  const _meta = { ...own, [`${prefix}/protocolVersion`]: version, [`${prefix}/clientCapabilities`]: capabilities }
  const named = method === 'resources/read' ? params.uri : params.name
  const names = { 'mcp-method': method, ...(named === undefined ? {} : { 'mcp-name': headerOf(String(named)) }) }
  return send(url, { ...headers, ...names }, { jsonrpc: '2.0', id, method, params: { ...params, _meta } }, signal)
}

function headerOf(value: string): string {
  return /^[\x21-\x7e]+$/.test(value) ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`
}

function send(url: string, headers: Way['headers'], message: object, signal: AbortSignal): Promise<Response> {
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(message), signal })
}

/** The answer to a request, whatever carries it. */
export async function answerTo(
  way: Way,
  method: string,
  params: Readonly<Record<string, unknown>> = {},
  id: string | number = 1,
): Promise<Said> {
  const response = await askOf(way, method, params, id)
  const text = await response.text()
  const found = messagesOf(text).find((message) => message.method === undefined)
  if (found === undefined) throw new Error(`no answer: HTTP ${response.status} ${text.slice(0, 200)}`)
  return found
}

/** The messages of an event stream, or the one body. */
export function messagesOf(text: string): readonly Said[] {
  if (text.startsWith('{')) return [Said.parse(JSON.parse(text))]
  return text.split('\n\n').flatMap((event) => {
    const data = event.split('\n').flatMap((line) => (line.startsWith('data: ') ? line.slice(6) : []))
    return data.join('') === '' ? [] : [Said.parse(JSON.parse(data.join('\n')))]
  })
}
