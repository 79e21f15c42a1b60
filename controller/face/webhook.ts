import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Controller } from '../controller.ts'
import { eventOf, type Hint, hintOf } from '../forge/delivery.ts'
import { addRoute } from './door.ts'
import { createFailures } from './failures.ts'

const bodyLimit = 5 * 1024 * 1024

/** What stands behind the webhook. */
export interface Reception {
  /** Any of them may have signed a delivery. */
  readonly secrets: readonly string[]
  /** The branch that is followed. */
  readonly branch: string
  /** Remembers a delivery by its id, for a day; whether it was remembered before. */
  repeated(id: string | undefined): boolean
  hear(hint: Hint): void
  count(outcome: 'taken' | 'repeated' | 'refused'): void
}

/**
 * `POST /webhook/forgejo`: a signed hint that something may have changed. Its payload only says where to look, so that whoever
 * could forge one could only make us look once more.
 */
export function addWebhook(app: FastifyInstance, controller: Controller, reception: Reception | undefined): void {
  const failures = createFailures()
  app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
    scope.addHook('onRequest', async (request, reply) => {
      if (reception === undefined) return reply.code(404).send({ error: 'no webhook secret is configured' })
      const wait = failures.wait(request.ip)
      if (wait > 0) return reply.code(429).header('retry-after', wait).send({ error: 'too many wrong signatures' })
    })
    addRoute(scope, 'POST', '/webhook/forgejo', (request, reply) => {
      if (reception === undefined) return reply
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      if (isSigned(body, signatureOf(request.headers), reception.secrets))
        return take(controller, reception, { request, reply, body })
      failures.add(request.ip)
      reception.count('refused')
      request.log.warn({ address: request.ip }, 'a webhook delivery has a wrong signature')
      return reply.code(401).send({ error: whyRefused(request.headers) })
    })
    registered()
  })
}

interface Delivered {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly body: Buffer
}

/** The answer never waits for what the delivery asks for: Forgejo gives up after five seconds, and never tries again. */
function take(controller: Controller, reception: Reception, { request, reply, body }: Delivered): unknown {
  if (isRepeated(reception, request)) {
    reception.count('repeated')
    return reply.code(200).send({ status: 'this delivery was taken before' })
  }
  const hint = hintOf(eventOf(request.headers), body, reception.branch)
  reception.count('taken')
  reception.hear(hint)
  if (hint.about === 'branch') controller.poke()
  return reply.code(202).send({ status: hint.about === 'nothing' ? `taken; nothing to do for ${hint.event}` : 'taken' })
}

/** A memory that fails costs one look at git too many. */
function isRepeated(reception: Reception, { headers, log }: FastifyRequest): boolean {
  try {
    return reception.repeated(deliveryOf(headers))
  } catch (error) {
    log.error({ err: error }, 'a delivery could not be remembered')
    return false
  }
}

/** Forgejo's own header, Gitea's, and GitHub's, which prefixes the hash's name. */
function signatureOf(headers: IncomingHttpHeaders): string {
  const plain = headers['x-forgejo-signature'] ?? headers['x-gitea-signature']
  const signature = plain ?? headers['x-hub-signature-256']?.toString().replace(/^sha256=/, '')
  return signature?.toString() ?? ''
}

function deliveryOf(headers: IncomingHttpHeaders): string | undefined {
  return (headers['x-forgejo-delivery'] ?? headers['x-gitea-delivery'])?.toString().slice(0, 100)
}

function isSigned(body: Buffer, signature: string, secrets: readonly string[]): boolean {
  if (!/^[0-9a-f]{64}$/i.test(signature)) return false
  const given = Buffer.from(signature, 'hex')
  return secrets
    .map((secret) => timingSafeEqual(given, createHmac('sha256', secret).update(body).digest()))
    .includes(true)
}

function whyRefused(headers: IncomingHttpHeaders): string {
  if (signatureOf(headers) === '') return 'the delivery is not signed: give the webhook its secret'
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded'))
    return 'the signature is not one of the body: choose the content type application/json'
  return 'the signature does not fit the body and GATEWAY_WEBHOOK_SECRET'
}
