import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Controller } from '../controller.ts'
import { addRoute } from './door.ts'
import { createFailures } from './failures.ts'

const bodyLimit = 5 * 1024 * 1024
const failuresAMinute = 20
const day = 24 * 60 * 60 * 1000
const deliveriesRemembered = 10_000

/**
 * `POST /webhook/forgejo`: a signed hint that the repository may have changed. Nothing in the payload is read, so that
 * whoever could forge one could only make us look at git once more.
 */
export function addWebhook(app: FastifyInstance, controller: Controller, secrets: readonly string[]): void {
  const failures = createFailures(failuresAMinute)
  const deliveries = createDeliveries()

  const refuse = (request: FastifyRequest, reply: FastifyReply) => {
    failures.add(request.ip)
    request.log.warn({ address: request.ip }, 'a webhook delivery has a wrong signature')
    return reply.code(401).send({ error: whyRefused(request.headers) })
  }
  app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
    scope.addHook('onRequest', async (request, reply) => {
      if (secrets.length === 0) return reply.code(404).send({ error: 'no webhook secret is configured' })
      const wait = failures.wait(request.ip)
      if (wait > 0) return reply.code(429).header('retry-after', wait).send({ error: 'too many wrong signatures' })
    })
    addRoute(scope, 'POST', '/webhook/forgejo', (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      if (!isSigned(body, signatureOf(request.headers), secrets)) return refuse(request, reply)
      if (deliveries.repeated(deliveryOf(request.headers)))
        return reply.code(200).send({ status: 'this delivery was taken before' })
      controller.poke('webhook')
      return reply.code(202).send({ status: 'taken' })
    })
    registered()
  })
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

function createDeliveries() {
  const seen = new Map<string, number>()
  const forget = () => {
    for (const [id, at] of seen) {
      if (seen.size <= deliveriesRemembered && Date.now() - at < day) return
      seen.delete(id)
    }
  }
  return {
    /** Remembers a delivery, for a day or until there are too many; one without an id is never a repetition. */
    repeated(id: string | undefined): boolean {
      forget()
      if (id === undefined || id === '') return false
      if (seen.has(id)) return true
      seen.set(id, Date.now())
      return false
    },
  }
}
