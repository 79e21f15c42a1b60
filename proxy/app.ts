import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { countRefusal } from './answer.ts'
import { authenticate } from './authenticate.ts'
import type { Gateway } from './gateway.ts'
import { healthOf } from './health.ts'
import { countHops } from './hops.ts'
import { createServer } from './http.ts'
import { serveJoint } from './join.ts'
import { answerPreflight, knock } from './knock.ts'
import { Refusal } from './refusal.ts'
import { sendJson, sendRefusal } from './reply.ts'
import { serveOne } from './serve.ts'
import { cutOffSlow } from './stall.ts'
import type { Visit } from './visit.ts'

/** How long a client may take for a request, and how long its connection is kept for the next one, ms. */
const times = { headersTimeout: 60_000, requestTimeout: 60_000, keepAliveTimeout: 72_000 } as const

/** The HTTP server that agents reach; `listen` is the caller's. */
export function createApp(gateway: Gateway): Server {
  const unwritten = (err: unknown) => gateway.log.error({ err }, 'an answer could not be written')
  const server = createServer(times, (request, response) => {
    // One that nobody listens to would end the proxy, and with it everybody's calls.
    response.on('error', unwritten)
    void handle(gateway, request, response)
  })
  cutOffSlow(server, gateway.limits)
  return server
}

async function handle(gateway: Gateway, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await route(gateway, request, response)
  } catch (error) {
    refuse(gateway, response, error)
  }
}

const oneServer = '/mcp/'

function route(gateway: Gateway, request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
  const path = pathOf(request)
  if (path === '/mcp') return admit(gateway, request, response, serveJoint)
  const server = path.startsWith(oneServer) ? path.slice(oneServer.length) : ''
  if (server !== '' && !server.includes('/'))
    return admit(gateway, request, response, (visit) => serveOne(visit, server))
  knock(request, response, gateway.config.url)
  if (path !== '/health' || (request.method !== 'GET' && request.method !== 'HEAD')) throw new Refusal('not-found')
  const [status, body] = healthOf(gateway)
  sendJson(response, status, JSON.stringify(body))
  return undefined
}

/** Names of servers need no escapes: one that is written with them is found as it would be if it did not exist. */
function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** authenticate → authorize → route → forward, of which the last three are `serve`'s. */
function admit(
  gateway: Gateway,
  request: IncomingMessage,
  response: ServerResponse,
  serve: (visit: Visit) => Promise<void>,
): Promise<void> | undefined {
  gateway.counters.requests++
  knock(request, response, gateway.config.url)
  if (request.method === 'OPTIONS') {
    answerPreflight(request, response)
    return undefined
  }
  const snapshot = gateway.holder.current
  if (snapshot === undefined) throw new Refusal('starting')
  const { agent, hash } = authenticate(snapshot, request, Date.now())
  const visit = { gateway, snapshot, agent, hash, request, response }
  return countHops(request, gateway.pseudonym, () => serve(visit))
}

/** Every refusal ends here. Clients that look for OAuth find a plain JSON 404, without a token too. */
function refuse(gateway: Gateway, response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refusal)) gateway.log.error({ err: error }, 'a request failed')
  const refusal = error instanceof Refusal ? error : new Refusal('internal', {}, { cause: error })
  countRefusal({ gateway }, refusal)
  if (!response.headersSent) sendRefusal(response, refusal)
  else if (response.getHeader('content-type') === 'text/event-stream') response.end()
  else response.destroy()
}
