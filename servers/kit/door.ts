import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, type McpServer } from '@modelcontextprotocol/server'
import { log } from './log.ts'

export interface Door {
  readonly server: Server
  /** Takes no new calls, gives those in flight 5 s, closes every connection. */
  readonly close: () => Promise<void>
}

const maxBody = 4 * 1024 * 1024
const patience = 5_000

/** Answers what a server has at paths of its own; false where it has nothing. */
export type Aside = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

export interface DoorOptions {
  readonly ready: () => Promise<string | undefined>
  readonly aside: Aside
}

/** The HTTP side of a server: MCP at `/mcp` and `/mcp/`, `/healthz`, and `/readyz` or `/health`; each of its answers is JSON. */
export function createDoor(create: () => McpServer, { ready, aside }: DoorOptions): Door {
  const onerror = (error: Error) => log.warn({ reason: error.message }, 'refused')
  const handler = createMcpHandler(create, { maxRequestBodySize: maxBody, onerror })
  const answer = toNodeHandler(handler, { maxRequestBodySize: maxBody, onerror })
  const calls = new Set<Promise<void>>()
  const mcp = async (request: IncomingMessage, response: ServerResponse) => {
    acceptWhatCurlAccepts(request)
    const call = answer(request, response)
    // A subscription has no end of its own, so nobody waits for one.
    if (request.headers['mcp-method'] === 'subscriptions/listen') return await call
    calls.add(call)
    await call.finally(() => calls.delete(call))
  }
  const server = createServer((request, response) => {
    route(request, response, { mcp, ready, aside }).catch((error: unknown) => {
      log.error({ err: error }, 'request failed')
      response.destroy()
    })
  })
  // Longer than a proxy keeps an idle connection, so that the proxy is the one to close it.
  server.keepAliveTimeout = 65_000
  const close = async () => {
    const closed = new Promise<void>((done) => server.close(() => done()))
    await Promise.race([Promise.allSettled(calls), sleep(patience, undefined, { ref: false })])
    await handler.close()
    server.closeAllConnections()
    await closed
  }
  return { server, close }
}

interface Rooms extends DoorOptions {
  readonly mcp: (request: IncomingMessage, response: ServerResponse) => Promise<void>
}

async function route(request: IncomingMessage, response: ServerResponse, { mcp, ready, aside }: Rooms): Promise<void> {
  const path = request.url?.split('?')[0]
  // Agents come through the proxy, which sends no Origin: who sends one is a page in somebody's browser.
  if (request.headers.origin !== undefined) return reply(response, 403, { error: 'no browsers here' })
  if (path === '/mcp' || path === '/mcp/') return await mcp(request, response)
  if (path === '/healthz') return reply(response, 200, { status: 'ok' })
  if (path !== '/readyz' && path !== '/health') {
    if (await aside(request, response)) return
    return reply(response, 404, { error: 'not found: MCP is at /mcp' })
  }
  const reason = await askReady(ready)
  if (reason === undefined) reply(response, 200, { status: 'ready' })
  else reply(response, 503, { status: 'unready', reason })
}

async function askReady(ready: () => Promise<string | undefined>): Promise<string | undefined> {
  const late = sleep(patience, `no answer within ${patience / 1000} s`, { ref: false })
  try {
    return await Promise.race([ready(), late])
  } catch (error) {
    log.error({ err: error }, 'readiness check failed')
    return 'the readiness check failed; the log says why'
  }
}

function reply(response: ServerResponse, status: number, body: Readonly<Record<string, string>>): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** curl accepts anything or says nothing, which the SDK takes for a refusal of both formats. */
function acceptWhatCurlAccepts(request: IncomingMessage): void {
  const accept = request.headers.accept ?? '*/*'
  if (accept.includes('*/*')) request.headers.accept = `application/json, text/event-stream, ${accept}`
}
