import type { IncomingMessage, ServerResponse } from 'node:http'
import { errorText, type Message, metaOf, readMessage, versionKey } from './message.ts'
import { Refusal } from './refusal.ts'
import { Reply } from './reply.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'
import { longest, pathOf, type Settings } from './settings.ts'
import type { Stateless } from './stateless.ts'

/** The `User-Agent` of the gateway's probes. */
const probe = 'commons-gateway-probe'
const versions: ReadonlySet<unknown> = new Set([
  undefined,
  '2024-10-07',
  '2024-11-05',
  '2025-03-26',
  '2025-06-18',
  '2025-11-25',
])

/** What HTTP requests are answered with. */
export interface House {
  readonly settings: Settings
  readonly sessions: Sessions
  readonly stateless: Stateless
}

/** Answers one request; whatever is wrong with it is told as JSON. */
export async function answer(house: House, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let id = ''
  try {
    refuseBrowsers(house.settings, request)
    const path = pathOf(request.url ?? '')
    if (path === house.settings.health && looks(request)) return answerHealth(house, response)
    if (path !== house.settings.path) return send(response, 404, JSON.stringify({ error: 'not_found' }))
    if (request.method === 'GET') return listen(house, request, response)
    if (request.method === 'DELETE') return await leave(house, request, response)
    if (request.method !== 'POST') throw new Refusal(405, -32000, 'Method not allowed', { allow: 'GET, POST, DELETE' })
    const message = messageOf(await readBody(request))
    id = message.id
    await post(house, { message, request, response })
  } catch (error) {
    refuse(response, error, id)
  }
}

interface Posted {
  readonly message: Message
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function post(house: House, { message, request, response }: Posted): Promise<void> {
  const { headers } = request
  if (metaOf(message)[versionKey] !== undefined && message.kind === 'request')
    return house.stateless.ask(message, { headers, response })
  checkVersion(headers['mcp-protocol-version'])
  if (message.method === 'initialize' && message.kind === 'request')
    return house.sessions.open(message, headers['user-agent'] === probe ? 'probe' : 'client', response)
  const session = sessionOf(house, request)
  if (message.kind === 'request')
    return session.ask(message, new Reply(response, takesStream(request), session.program))
  session.tell(message)
  response.writeHead(202).end()
}

/** The client's stream. */
function listen(house: House, request: IncomingMessage, response: ServerResponse): void {
  const session = sessionOf(house, request)
  session.listen(new Reply(response, true))
}

async function leave(house: House, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await house.sessions.end(sessionOf(house, request))
  response.writeHead(200).end()
}

function sessionOf({ sessions }: House, { headers }: IncomingMessage): Session {
  const id = headers['mcp-session-id']
  if (typeof id !== 'string') throw new Refusal(400, -32000, 'Bad Request: no Mcp-Session-Id; send initialize first')
  return sessions.find(id)
}

function answerHealth({ sessions }: House, response: ServerResponse): void {
  const { fault } = sessions
  const status = fault === undefined ? 'healthy' : 'failing'
  const body = { status, sessions: sessions.count('client'), ...(fault === undefined ? {} : { fault }) }
  send(response, fault === undefined ? 200 : 503, JSON.stringify(body))
}

/** No client of the gateway sends an Origin; on the machine itself, a page may have made its own name mean this address. */
function refuseBrowsers({ host }: Settings, { headers }: IncomingMessage): void {
  if (headers.origin !== undefined) throw new Refusal(403, -32000, 'Requests of web pages are not accepted')
  const named = (headers.host ?? '').replace(/:\d+$/, '')
  const loopback = host.startsWith('127.') || host === '::1' || host === 'localhost'
  if (loopback && ![host, 'localhost', '127.0.0.1', '[::1]'].includes(named))
    throw new Refusal(403, -32000, `The host name "${named}" is not this server's`)
}

function checkVersion(header: string | string[] | undefined): void {
  if (header === '2026-07-28') throw new Refusal(400, -32602, `Invalid params: _meta["${versionKey}"] is required`)
  if (!versions.has(header)) throw new Refusal(400, -32000, `Bad Request: unsupported MCP-Protocol-Version ${header}`)
}

function messageOf(text: string): Message {
  let message: Message | undefined
  try {
    message = readMessage(text)
  } catch {
    throw new Refusal(400, -32700, 'Parse error: the request body is not valid JSON')
  }
  if (message === undefined || (message.kind === 'response' && message.id === ''))
    throw new Refusal(400, -32600, 'Invalid request: the request body is not one JSON-RPC message')
  return message
}

async function readBody(request: IncomingMessage): Promise<string> {
  if (!/^application\/json\b/i.test(request.headers['content-type'] ?? ''))
    throw new Refusal(415, -32000, 'Content-Type must be application/json')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    size += chunk.length
    if (size > longest) {
      request.resume() // the rest of it, without which its client would not read the answer
      throw new Refusal(413, -32000, `The request body has more than ${longest} bytes`)
    }
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new Refusal(400, -32700, 'Parse error: the request body is not UTF-8')
  }
}

function takesStream({ headers: { accept = '' } }: IncomingMessage): boolean {
  return /text\/event-stream/i.test(accept)
}

/** A client's stream is asked for in the same words, but for its session. */
function looks({ method, headers }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && headers['mcp-session-id'] === undefined
}

function refuse(response: ServerResponse, error: unknown, id: string): void {
  if (response.headersSent || response.destroyed) return void response.destroy()
  const refusal = error instanceof Refusal ? error : new Refusal(500, -32603, 'Internal error of the stdio wrapper')
  if (refusal !== error) process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  send(response, refusal.status, errorText(id, refusal.code, refusal.message), refusal.headers)
}

function send(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(text)
}
