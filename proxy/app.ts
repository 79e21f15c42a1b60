import type { IncomingMessage, ServerResponse } from 'node:http'
import { type FastifyInstance, fastify } from 'fastify'
import { countRefusal } from './answer.ts'
import { authenticate } from './authenticate.ts'
import type { Gateway } from './gateway.ts'
import { healthOf } from './health.ts'
import { countHops } from './hops.ts'
import { serveJoint } from './join.ts'
import { answerPreflight, knock } from './knock.ts'
import { isRecord } from './message.ts'
import { Refusal } from './refusal.ts'
import { endWithStall, sendJson, sendRefusal } from './reply.ts'
import { serveOne } from './serve.ts'
import type { Visit } from './visit.ts'

/** The HTTP server that agents reach. Requests are read and answered on Node's own objects; fastify routes them. */
export function createApp(gateway: Gateway): FastifyInstance {
  const app = fastify({
    routerOptions: { ignoreTrailingSlash: true },
    exposeHeadRoutes: false,
    frameworkErrors: (_error, request, reply) => {
      reply.hijack()
      answerStranger(gateway, request.raw, reply.raw)
    },
    requestTimeout: 60_000,
    keepAliveTimeout: 72_000,
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  // A media type that is none never comes to a parser.
  app.setErrorHandler((_error, request, reply) => {
    reply.hijack()
    return admit(gateway, request.raw, reply.raw, () => Promise.reject(new Refusal('media-type')))
  })
  const on = (path: string, serve: (visit: Visit, params: unknown) => Promise<void>) =>
    app.all(path, (request, reply) => {
      reply.hijack()
      return admit(gateway, request.raw, reply.raw, (visit) => serve(visit, request.params))
    })
  on('/mcp', serveJoint)
  on('/mcp/:server', (visit, params) => serveOne(visit, serverOf(params)))
  app.all('/health', (request, reply) => {
    reply.hijack()
    answerHealth(gateway, request.raw, reply.raw)
  })
  app.setNotFoundHandler((request, reply) => {
    reply.hijack()
    answerStranger(gateway, request.raw, reply.raw)
  })
  return app
}

/** authenticate → authorize → route → forward, of which the last three are `serve`'s; every refusal ends here. */
async function admit(
  gateway: Gateway,
  request: IncomingMessage,
  response: ServerResponse,
  serve: (visit: Visit) => Promise<void>,
): Promise<void> {
  gateway.counters.requests++
  // One that nobody listens to would end the proxy, and with it everybody's calls.
  response.on('error', (err) => gateway.log.error({ err }, 'an answer could not be written'))
  endWithStall(response, gateway.limits.stalled)
  try {
    knock(request, response, gateway.config.url)
    if (request.method === 'OPTIONS') return answerPreflight(request, response)
    const snapshot = gateway.holder.current
    if (snapshot === undefined) throw new Refusal('starting')
    const { agent, hash } = authenticate(snapshot, request, Date.now())
    await countHops(request, () => serve({ gateway, snapshot, agent, hash, request, response }))
  } catch (error) {
    refuse(gateway, response, error)
  }
}

function refuse(gateway: Gateway, response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refusal)) gateway.log.error({ err: error }, 'a request failed')
  const refusal = error instanceof Refusal ? error : new Refusal('internal', {}, { cause: error })
  countRefusal({ gateway }, refusal)
  if (!response.headersSent) sendRefusal(response, refusal)
  else if (response.getHeader('content-type') === 'text/event-stream') response.end()
  else response.destroy()
}

function answerHealth(gateway: Gateway, request: IncomingMessage, response: ServerResponse): void {
  try {
    knock(request, response, gateway.config.url)
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal('not-found')
    const [status, body] = healthOf(gateway)
    sendJson(response, status, JSON.stringify(body))
  } catch (error) {
    refuse(gateway, response, error)
  }
}

/** Clients that look for OAuth must find a plain JSON 404, without a token too. */
function answerStranger(gateway: Gateway, request: IncomingMessage, response: ServerResponse): void {
  try {
    knock(request, response, gateway.config.url)
    throw new Refusal('not-found')
  } catch (error) {
    refuse(gateway, response, error)
  }
}

function serverOf(params: unknown): string {
  return isRecord(params) ? String(params.server) : ''
}
