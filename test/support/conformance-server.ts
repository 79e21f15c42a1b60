import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  isLegacyRequest,
  McpServer,
  type RegisteredPrompt,
  type RegisteredTool,
} from '@modelcontextprotocol/server'
import { registerContent, say } from './conformance-content.ts'
import { registerPrompts, registerResources } from './conformance-parts.ts'
import { registerQuestions, states } from './conformance-questions.ts'
import { createEventStore } from './event-store.ts'
import { openListener, type Upstream } from './mcp-upstream.ts'

/** A server for the official conformance suite, which hard-codes the names of what it calls. Written in both eras' common words. */
export function openConformanceServer(eras: 'both' | 'modern' | 'legacy'): Promise<Upstream> {
  const shared = { shows: { tool: false, prompt: false }, changed: new Set<() => void>() }
  const modern = createMcpHandler(() => makeServer(shared).server, { legacy: 'reject' })
  shared.changed.add(() => {
    modern.notify.toolsChanged()
    modern.notify.promptsChanged()
  })
  const serveModern = toNodeHandler(modern)
  const serveLegacy = sessionful(shared)
  const [checkHost, checkOrigin] = [localhostHostValidation(), localhostOriginValidation()]
  return openListener(async (request, response) => {
    if (!checkHost(request, response) || !checkOrigin(request, response)) return
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const isLegacy =
      eras !== 'modern' && (eras === 'legacy' || (await isLegacyRequest(await toWebRequest(request, body), body)))
    if (isLegacy) await serveLegacy(request, response, body)
    else await serveModern(request, response, body)
  })
}

type Shared = {
  readonly shows: { tool: boolean; prompt: boolean }
  readonly changed: Set<() => void>
}

function makeServer({ shows, changed }: Shared) {
  const server = new McpServer(
    { name: 'conformance-fixture', version: '1.0.0' },
    {
      capabilities: { logging: {}, completions: {}, resources: { subscribe: true, listChanged: true } },
      requestState: { verify: states.verify },
    },
  )
  registerContent(server)
  registerQuestions(server)
  registerPrompts(server)
  registerResources(server)
  server.server.setRequestHandler('resources/subscribe', () => ({}))
  server.server.setRequestHandler('resources/unsubscribe', () => ({}))
  const trigger = (kind: 'tool' | 'prompt') =>
    server.registerTool(`test_trigger_${kind}_change`, { description: `Changes the list of ${kind}s` }, () => {
      shows[kind] = !shows[kind]
      for (const tell of changed) tell()
      return say('Changed')
    })
  trigger('tool')
  trigger('prompt')
  const tool = server.registerTool('test_changing_tool', { description: 'Comes and goes' }, () => say('There'))
  const prompt = server.registerPrompt('test_changing_prompt', { description: 'Comes and goes' }, () => ({
    messages: [],
  }))
  show(tool, shows.tool)
  show(prompt, shows.prompt)
  return {
    server,
    /** Shows its client what there is now. */
    refresh: () => {
      show(tool, shows.tool)
      show(prompt, shows.prompt)
    },
  }
}

function show(part: RegisteredTool | RegisteredPrompt, wanted: boolean): void {
  if (part.enabled !== wanted) part.update({ enabled: wanted })
}

type Serve = (request: IncomingMessage, response: ServerResponse, body: unknown) => Promise<void>

function sessionful(shared: Shared): Serve {
  const transports = new Map<string, NodeStreamableHTTPServerTransport>()
  return async (request, response, body) => {
    const id = String(request.headers['mcp-session-id'] ?? '')
    const known = transports.get(id)
    if (known !== undefined) return known.handleRequest(request, response, body)
    if (id !== '') {
      response.writeHead(404, { 'content-type': 'application/json' })
      response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}')
      return
    }
    const { server, refresh } = makeServer(shared)
    const transport: NodeStreamableHTTPServerTransport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 500,
      onsessioninitialized: (given) => {
        transports.set(given, transport)
        shared.changed.add(refresh)
      },
      onsessionclosed: (given) => {
        transports.delete(given)
        shared.changed.delete(refresh)
      },
    })
    await server.connect(transport)
    await transport.handleRequest(request, response, body)
  }
}
