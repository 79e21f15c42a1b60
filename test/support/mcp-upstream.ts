import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import type { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { legacyServer } from './legacy-server.ts'
import { modernServer } from './modern-server.ts'
import { portOf } from './port.ts'
import type { Words } from './words.ts'

/** A real MCP server on a port of its own, and what it has been sent. */
export interface Upstream extends AsyncDisposable {
  readonly origin: string
  /** Every request, in order, with its body. */
  readonly seen: readonly Seen[]
  /** Sessions that are open, where it keeps any. */
  readonly sessions: number
  /** Says to whoever subscribed that a resource changed. */
  update(uri: string): void
  /** Says to all who listen that its tools changed. */
  changeTools(): void
  /** Lets every call of `pause` end, and says how many there were. */
  release(): number
}

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  body: string
}

export type UpstreamKind = 'v1-sessions' | 'v1-stateless' | 'v2' | 'v2-strict'

/** `v2-strict` does not speak to legacy clients at all. */
export async function openUpstream(kind: UpstreamKind, words: Words = {}, port = 0): Promise<Upstream> {
  const transports = new Map<string, StreamableHTTPServerTransport>()
  const paused = new Set<() => void>()
  const made: LegacyServer[] = []
  const make = () => {
    const server = legacyServer(paused, words)
    made.push(server)
    return server
  }
  const modern = createMcpHandler(() => modernServer(words))
  const strict = createMcpHandler(() => modernServer(words), { legacy: 'reject' })
  const listeners = {
    'v1-sessions': sessionful(transports, make),
    'v1-stateless': stateless(make),
    v2: toNodeHandler(modern),
    'v2-strict': toNodeHandler(strict),
  } as const satisfies Record<UpstreamKind, (...parts: Parameters<RequestListener>) => unknown>
  const serve = listeners[kind]
  const open = await openListener((request, response) => void serve(request, response), port)
  return {
    origin: open.origin,
    seen: open.seen,
    get sessions() {
      return transports.size
    },
    update: (uri) => {
      for (const { notify } of [modern, strict]) notify.resourceUpdated(uri)
      for (const server of made) if (server.isConnected()) void server.server.sendResourceUpdated({ uri })
    },
    changeTools: () => {
      for (const { notify } of [modern, strict]) notify.toolsChanged()
      for (const server of made) if (server.isConnected()) server.sendToolListChanged()
    },
    release: () => {
      const count = paused.size
      for (const go of paused) go()
      return count
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  }
}

/** Any HTTP server in the place of an MCP server, where a fault has to be made. */
export async function openListener(listener: RequestListener, at = 0): Promise<Upstream> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const one: Seen = { method, url, headers, body: '' }
    seen.push(one)
    const push = request.push.bind(request)
    request.push = (chunk: Buffer | null, encoding) => {
      one.body += chunk?.toString() ?? ''
      return push(chunk, encoding)
    }
    listener(request, response)
  })
  const port = await listen(server, at)
  return {
    origin: `http://127.0.0.1:${port}`,
    seen,
    sessions: 0,
    update: () => undefined,
    changeTools: () => undefined,
    release: () => 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

/** What a server of the newer era with one tool may answer to whatever it is asked about itself. */
export const aboutEcho = {
  supportedVersions: ['2026-07-28'],
  capabilities: {},
  tools: [{ name: 'echo', inputSchema: { type: 'object' } }],
} as const

/** A server of the newer era that answers in plain JSON what the test makes of a method; where that is nothing, it hangs up. */
export function openPlain(answer: (method: string, request: IncomingMessage) => object | undefined): Promise<Upstream> {
  return openListener(async (request, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    const result = answer(method, request)
    if (result === undefined) return request.socket.destroy()
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
  })
}

export async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  return portOf(server)
}

function sessionful(transports: Map<string, StreamableHTTPServerTransport>, make: () => LegacyServer): RequestListener {
  return async (request, response) => {
    const id = String(request.headers['mcp-session-id'] ?? '')
    const known = transports.get(id)
    if (known !== undefined) return known.handleRequest(request, response)
    if (id !== '') {
      response.writeHead(404, { 'content-type': 'application/json' })
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}')
      return
    }
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (given) => void transports.set(given, transport),
      onsessionclosed: (given) => void transports.delete(given),
    })
    await make().connect(transport)
    await transport.handleRequest(request, response)
  }
}

const stateless =
  (make: () => LegacyServer): RequestListener =>
  async (request, response) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined })
    const server = make()
    response.on('close', () => void server.close())
    await server.connect(transport)
    await transport.handleRequest(request, response)
  }
