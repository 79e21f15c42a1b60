import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import {
  acceptedContent,
  completable,
  createMcpHandler,
  inputRequired,
  McpServer,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import { z } from 'zod'

/** A real MCP server on a port of its own, and what it has been sent. */
export interface Upstream extends AsyncDisposable {
  readonly origin: string
  /** Every request, in order, with its body. */
  readonly seen: readonly Seen[]
  /** Sessions that are open, where it keeps any. */
  readonly sessions: number
  /** Says to whoever subscribed that a resource changed. */
  update(uri: string): void
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

/** What an upstream says of its tools, which a test may change at any time: `echo` describes that one, `fresh` is there if it has words. */
export interface Words {
  echo?: string
  fresh?: string
}

/** `v2-strict` does not speak to legacy clients at all. */
export async function openUpstream(kind: UpstreamKind, words: Words = {}): Promise<Upstream> {
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
  const open = await openListener((request, response) => void serve(request, response))
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
    release: () => {
      const count = paused.size
      for (const go of paused) go()
      return count
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  }
}

/** Any HTTP server in the place of an MCP server, where a fault has to be made. */
export async function openListener(listener: RequestListener): Promise<Upstream> {
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
  const port = await listen(server)
  return {
    origin: `http://127.0.0.1:${port}`,
    seen,
    sessions: 0,
    update: () => undefined,
    release: () => 0,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

export async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a port')
  return address.port
}

const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] })

/** echo, count (three steps of progress), ask (a form for a person), secret, and a name that needs changing. */
export function legacyServer(paused: Set<() => void>, said: Words = {}): LegacyServer {
  const server = new LegacyServer(
    { name: 'old', version: '1' },
    { capabilities: { logging: {}, resources: { subscribe: true } } },
  )
  server.server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.registerTool('talk', { description: 'logs in two levels' }, async (extra) => {
    for (const level of ['debug', 'error'] as const)
      await server.sendLoggingMessage({ level, logger: 'db', data: level }, extra.sessionId)
    return text('talked')
  })
  const echo = server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text: words }) => text(words))
  const fresh = server.registerTool('fresh', {}, () => text('fresh'))
  // A session sees what has changed since it began, as that of a real server does.
  Object.defineProperty(echo, 'description', { get: () => said.echo ?? 'says it again' })
  Object.defineProperties(fresh, {
    description: { get: () => said.fresh },
    enabled: { get: () => said.fresh !== undefined },
  })
  server.registerTool('secret', { description: 'not for all' }, () => text('secret'))
  server.registerTool('dotted.name', { description: 'needs another name' }, () => text('dotted'))
  server.registerTool('count', { description: 'counts' }, async (extra) => {
    const progressToken = extra._meta?.progressToken
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress++)
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return text('counted')
  })
  server.registerTool('ask', { description: 'asks a person' }, async () => {
    const answer = await server.server.elicitInput({
      message: 'name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    })
    return text(`hello ${JSON.stringify(answer)}`)
  })
  server.registerTool('wait', { description: 'waits until it is ended' }, async (extra) => {
    await new Promise((done) => extra.signal.addEventListener('abort', done))
    return text('ended')
  })
  server.registerTool('pause', { description: 'waits until the test lets it go on' }, async () => {
    await new Promise<void>((go) => paused.add(go))
    return text('paused')
  })
  server.registerPrompt('greet', { description: 'a greeting' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }))
  server.registerResource('one', 'demo://one', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'one' }] }))
  server.registerResource('two', 'demo://two', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'two' }] }))
  return server
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

export function modernServer(said: Words = {}): McpServer {
  const server = new McpServer({ name: 'new', version: '2' }, { capabilities: { resources: { subscribe: true } } })
  const echo = { description: said.echo ?? 'says it again', inputSchema: z.object({ text: z.string() }) }
  server.registerTool('echo', echo, ({ text: words }) => text(words))
  if (said.fresh !== undefined) server.registerTool('fresh', { description: said.fresh }, () => text('fresh'))
  server.registerTool('secret', { description: 'not for all' }, () => text('secret'))
  server.registerTool('list', { description: 'a list', outputSchema: z.array(z.number()) }, () => ({
    ...text('1'),
    structuredContent: [1, 2],
  }))
  server.registerTool('count', { description: 'counts' }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress++)
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return text('counted')
  })
  server.registerTool('ask', { description: 'asks a person' }, async (ctx) => {
    const answer = await ctx.mcpReq.elicitInput({
      message: 'name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    })
    return text(`hello ${JSON.stringify(answer)}`)
  })
  server.registerTool('form', { description: 'asks a person by its answer' }, (ctx) => {
    const given = acceptedContent<{ name: string }>(ctx.mcpReq.inputResponses, 'who')
    if (given !== undefined) return text(`hello ${given.name}, ${String(ctx.mcpReq.requestState())}`)
    const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } }
    return inputRequired({
      inputRequests: { who: inputRequired.elicit({ message: 'name?', requestedSchema }) },
      requestState: 'state of the server',
    })
  })
  server.registerTool('link', { description: 'points to a resource' }, () => ({
    content: [
      { type: 'resource_link' as const, uri: 'demo://one', name: 'one' },
      { type: 'resource' as const, resource: { uri: 'demo://item/1', text: 'item 1' } },
    ],
  }))
  const word = completable(z.string(), (begun) => ['red', 'green'].filter((colour) => colour.startsWith(begun)))
  server.registerPrompt(
    'paint',
    { description: 'in a colour', argsSchema: z.object({ word }) },
    ({ word: colour }) => ({
      messages: [{ role: 'user', content: { type: 'text', text: colour } }],
    }),
  )
  server.registerResource('one', 'demo://one', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'new one' }] }))
  const template = new ResourceTemplate('demo://item/{id}', {
    list: undefined,
    complete: { id: (begun) => ['17', '4'].filter((id) => id.startsWith(begun)) },
  })
  server.registerResource('item', template, {}, (uri, { id }) => ({
    contents: [{ uri: uri.href, text: `item ${String(id)}` }],
  }))
  return server
}
