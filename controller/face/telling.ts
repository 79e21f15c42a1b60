import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Controller } from '../controller.ts'
import { type Answer, addRoute } from './door.ts'

const NamePath = z.object({ name: z.string() })
const ExplainQuery = z.object({ tool: z.string().optional() })
const ToolsQuery = z.object({ server: z.string().optional() })
const LogQuery = z.object({
  tail: z.coerce.number().int().min(0).max(10_000).default(200),
  build: z.stringbool().default(false),
  follow: z.stringbool().default(false),
})

/** ms for the host to give a log */
const logWithin = 20_000

/** What only operators are told: why things are as they are, and what servers and builds print. */
export function addTelling(
  app: FastifyInstance,
  controller: Controller,
  isOperator: (request: FastifyRequest) => boolean,
): void {
  const stopping = new AbortController()
  app.addHook('preClose', async () => stopping.abort())
  const toOperators =
    (answer: Answer): Answer =>
    (request, reply) =>
      isOperator(request) ? answer(request, reply) : reply.code(401).send({ error: 'this needs the operator token' })

  addRoute(
    app,
    'GET',
    '/explain/:name',
    toOperators((request) =>
      controller.explain(NamePath.parse(request.params).name, ExplainQuery.parse(request.query).tool),
    ),
  )
  addRoute(
    app,
    'GET',
    '/tools',
    toOperators((request) =>
      controller.tools(ToolsQuery.parse(request.query).server, AbortSignal.any([stopping.signal, request.signal])),
    ),
  )
  addRoute(
    app,
    'GET',
    '/logs/:name',
    toOperators(async (request, reply) => {
      const { name: server } = NamePath.parse(request.params)
      const { tail, build, follow } = LogQuery.parse(request.query)
      const signal = AbortSignal.any([stopping.signal, request.signal])
      if (build) return { log: controller.buildLog({ server, tail }) }
      if (!follow) return { log: await controller.log({ server, tail }, timely(signal)) }
      reply.type('text/plain; charset=utf-8')
      return reply.send(Readable.from(controller.follow({ server, tail }, signal)))
    }),
  )
}

function timely(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(logWithin)])
}
