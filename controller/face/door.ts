import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify'
import { ZodError } from 'zod'
import { Refused } from '../controller.ts'
import { HostDown } from '../host.ts'
import { SourceDown } from '../source/git-fault.ts'

type Method = 'GET' | 'POST'
export type Answer = (request: FastifyRequest, reply: FastifyReply) => unknown

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** ms for a request with its body; an answer may take longer. */
const arriveWithin = 5_000

/** An HTTP server whose every refusal is JSON, `{"error": "one line"}`, and which tells nobody its stack. */
export function createDoor(log?: FastifyBaseLogger): FastifyInstance {
  const app = fastify({
    ...(log === undefined ? {} : { loggerInstance: log }),
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: arriveWithin,
    // Node takes the longer of the two for the whole request, whichever name it has.
    http: { headersTimeout: arriveWithin, requestTimeout: arriveWithin, connectionsCheckingInterval: 1_000 },
    forceCloseConnections: true,
    frameworkErrors: refuse,
  })
  app.setErrorHandler(refuse)
  app.setNotFoundHandler((request, reply) => reply.code(404).send({ error: `nothing at ${pathOf(request)}` }))
  return app
}

/** Answers one method at `url` (GET includes HEAD), and 405 to every other. */
export function addRoute(app: FastifyInstance, method: Method, url: string, answer: Answer): void {
  const allowed: readonly string[] = method === 'GET' ? ['GET', 'HEAD'] : [method]
  app.route({ method, url, handler: answer })
  app.route({
    method: methods.filter((other) => !allowed.includes(other)),
    url,
    onRequest: async (request, reply) =>
      reply
        .code(405)
        .header('allow', allowed.join(', '))
        .send({ error: `${request.method} is not possible at ${pathOf(request)}, only ${allowed.join(' and ')}` }),
    handler: () => undefined,
  })
}

function pathOf(request: FastifyRequest): string {
  return request.url.replace(/\?.*/s, '')
}

function refuse(error: FastifyError | ZodError, request: FastifyRequest, reply: FastifyReply): unknown {
  const known = refusalOf(error)
  if (known !== undefined) return reply.code(known.code).send({ error: known.error })
  const code = 'statusCode' in error ? (error.statusCode ?? 500) : 500
  if (code < 500) return reply.code(code).send({ error: error.message })
  request.log.error({ err: error, url: pathOf(request) }, 'an answer failed')
  return reply.code(code).send({ error: unforeseen })
}

const unforeseen = 'the controller failed to answer; its log says why'

/** A refusal in one line, for an answer that has begun already. */
export function wordsOf(error: unknown): string {
  return (error instanceof Error ? refusalOf(error)?.error : undefined) ?? unforeseen
}

function refusalOf(error: Error): { readonly code: number; readonly error: string } | undefined {
  if (error instanceof ZodError) return { code: 400, error: describeIssues(error) }
  if (isTimeout(error)) return { code: 504, error: 'this took longer than was waited for' }
  if (error.name === 'AbortError') return { code: 503, error: 'the controller is stopping' }
  if (error instanceof Refused) return { code: 422, error: error.message }
  if (error instanceof HostDown || error instanceof SourceDown) return { code: 503, error: error.message }
  return undefined
}

function describeIssues(error: ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
}

/** A wait that its signal ended says AbortError, and only its cause tells that the time was over. */
function isTimeout({ name, cause }: Error): boolean {
  return name === 'TimeoutError' || (cause instanceof Error && cause.name === 'TimeoutError')
}
