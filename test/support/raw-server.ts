import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { openListener, type Upstream } from './mcp-upstream.ts'

type Fields = Readonly<Record<string, unknown>>

/** One request of a client, while it is answered as an event stream. */
export interface Call {
  readonly id: unknown
  readonly params: Fields
  /** Empty in the modern era. */
  readonly session: string
  readonly response: ServerResponse
  /** Says something before the answer. */
  note(method: string, params: Fields): void
  /** Asks the client something, on the stream of this call or on the one that belongs to none. */
  ask(method: string, params: Fields, where?: 'here' | 'aside'): Promise<Fields>
}

/** What it gives is the result; an `Error` is one of the protocol. */
export type Answering = (call: Call) => unknown

/** A server written to the wire, for what no library would do. */
export interface RawServer extends Upstream {
  /** Params of each `notifications/cancelled`. */
  readonly cancelled: readonly Fields[]
  /** Sessions that have their stream open. */
  readonly listening: ReadonlySet<string>
}

export interface RawOptions {
  readonly era: 'legacy' | 'modern'
  readonly tools?: Readonly<Record<string, Answering>>
  /** Other methods. */
  readonly methods?: Readonly<Record<string, Answering>>
  readonly capabilities?: Fields
}

const Message = z.looseObject({
  id: z.unknown().optional(),
  method: z.string().optional(),
  params: z.looseObject({}).default({}),
  result: z.unknown().optional(),
  error: z.unknown().optional(),
})
type Message = z.infer<typeof Message>
const sse = { 'content-type': 'text/event-stream' }
const eventOf = (message: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`
export const textResult = (text: string) => ({ content: [{ type: 'text', text }] })

export async function openRawServer(options: RawOptions): Promise<RawServer> {
  const cancelled: Fields[] = []
  const streams = new Map<string, ServerResponse>()
  const questions = new Map<string, (answer: Fields) => void>()
  const sessions = new Set<string>()
  const server = await openListener(async (request, response) => {
    const session = String(request.headers['mcp-session-id'] ?? '')
    if (session !== '' && !sessions.has(session)) return void response.writeHead(404).end()
    if (request.method === 'DELETE') {
      sessions.delete(session)
      return void response.writeHead(204).end()
    }
    if (request.method === 'GET') return listen(streams, session, response)
    const message = await read(request)
    if (message === undefined) return void response.writeHead(400).end()
    if (message.method === undefined) {
      questions.get(String(message.id))?.(message)
      return void response.writeHead(202).end()
    }
    if (message.method === 'notifications/cancelled') cancelled.push(message.params)
    if (message.id === undefined) return void response.writeHead(202).end()
    if (message.method === 'initialize') {
      const id = randomUUID()
      sessions.add(id)
      response.setHeader('mcp-session-id', id)
    }
    await answer(options, message, { response, session, streams, questions })
  })
  return Object.assign(server, {
    cancelled,
    listening: { has: (id: string) => streams.has(id) } as ReadonlySet<string>,
  })
}

async function read(request: IncomingMessage): Promise<Message | undefined> {
  return Message.safeParse(JSON.parse(Buffer.concat(await request.toArray()).toString())).data
}

function listen(streams: Map<string, ServerResponse>, session: string, response: ServerResponse): void {
  streams.set(session, response)
  response.once('close', () => streams.delete(session))
  response.writeHead(200, sse)
  response.flushHeaders()
}

interface Wire {
  readonly response: ServerResponse
  readonly session: string
  readonly streams: ReadonlyMap<string, ServerResponse>
  readonly questions: Map<string, (answer: Fields) => void>
}

async function answer(options: RawOptions, message: Message, wire: Wire): Promise<void> {
  const { id, method = '', params } = message
  const own = ownAnswer(options, method, params)
  const answering = method === 'tools/call' ? options.tools?.[String(params.name)] : options.methods?.[method]
  if (own !== undefined) return json(wire.response, { id, result: own })
  if (answering === undefined) return json(wire.response, { id, error: { code: -32601, message: 'unknown' } })
  wire.response.writeHead(200, sse)
  wire.response.flushHeaders()
  const result = await answering(callOf(id, params, wire))
  const outcome = result instanceof Error ? { error: { code: -32000, message: result.message } } : { result }
  if (!wire.response.writableEnded) wire.response.end(eventOf({ id, ...outcome }))
}

function json(response: ServerResponse, message: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', ...message }))
}

function callOf(id: unknown, params: Fields, { response, session, streams, questions }: Wire): Call {
  return {
    id,
    params,
    session,
    response,
    note: (method, more) => void response.write(eventOf({ method, params: more })),
    ask: (method, more, where = 'here') => {
      const question = randomUUID()
      const to = where === 'here' ? response : streams.get(session)
      if (to === undefined) throw new Error('it has no stream')
      to.write(eventOf({ id: question, method, params: more }))
      return new Promise((done) => questions.set(question, done))
    },
  }
}

function ownAnswer({ era, tools = {}, methods = {}, capabilities = {} }: RawOptions, method: string, params: Fields) {
  const serverInfo = { name: 'raw', version: '1' }
  const about = { capabilities: { tools: {}, ...capabilities }, serverInfo }
  const cached = era === 'modern' ? { resultType: 'complete', ttlMs: 0, cacheScope: 'private' } : {}
  if (method === 'initialize' && era === 'legacy') return { protocolVersion: params.protocolVersion, ...about }
  if (method === 'server/discover' && era === 'modern')
    return { supportedVersions: ['2026-07-28'], ...about, ...cached }
  if (method === 'ping') return {}
  if (method !== 'tools/list' || methods['tools/list'] !== undefined) return undefined
  const listed = Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } }))
  return { tools: listed, ...cached }
}
