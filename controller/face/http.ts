import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Controller } from '../controller.ts'
import { addRoute, createDoor } from './door.ts'
import { createFailures, type Failures } from './failures.ts'
import { isOperator } from './operator.ts'
import { contentSecurityPolicy, renderPage } from './page.ts'
import { addReading, type View } from './reading.ts'
import { addWebhook, type Reception } from './webhook.ts'

export interface FaceOptions {
  /** Without one the public view is all there is. */
  readonly operatorToken?: string
  /** Without it there is no webhook. */
  readonly webhook?: Reception | undefined
  readonly log?: FastifyBaseLogger
}

/** What people and the forge reach at GATEWAY_LISTEN. The caller listens and closes; waiting answers end with it. */
export function createFace(controller: Controller, options: FaceOptions): FastifyInstance {
  const { operatorToken, webhook, log } = options
  const app = createDoor(log)
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({
      'content-security-policy': contentSecurityPolicy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      vary: 'authorization',
    })
  })
  addWebhook(app, controller, webhook)
  app.register((scope, _options, done) => {
    if (operatorToken !== undefined) refuseStrangers(scope, operatorToken, createFailures())
    const viewOf = (request: FastifyRequest): View =>
      operatorToken !== undefined && request.headers.authorization !== undefined ? 'operator' : 'public'
    addReading(scope, controller, viewOf)
    addRoute(scope, 'GET', '/', async (request, reply) =>
      reply
        .type('text/html; charset=utf-8')
        .send(renderPage(await controller.status(viewOf(request)), operatorToken !== undefined)),
    )
    done()
  })
  return app
}

/** Whoever shows a credential must show the right one; who shows none gets the public view, or `?operator` asks for it. */
function refuseStrangers(app: FastifyInstance, token: string, failures: Failures): void {
  const challenge = (reply: FastifyReply, error: string) =>
    reply.code(401).header('www-authenticate', 'Basic realm="gateway", charset="UTF-8"').send({ error })
  app.addHook('onRequest', async (request, reply) => {
    const { authorization } = request.headers
    if (authorization === undefined)
      return asksForOperator(request) ? challenge(reply, 'the operator token is the password') : undefined
    const wait = failures.wait(request.ip)
    if (wait > 0) return reply.code(429).header('retry-after', wait).send({ error: 'too many wrong tokens' })
    if (isOperator(authorization, token)) return
    failures.add(request.ip)
    return challenge(reply, 'this is not the operator token')
  })
}

function asksForOperator({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && 'operator' in query
}
