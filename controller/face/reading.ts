import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { CommitStatus } from '#manifests/status.ts'
import type { Controller } from '../controller.ts'
import { metricsType } from '../meters.ts'
import { addRoute } from './door.ts'
import { addEvents } from './events.ts'
import { renderPull } from './pull-page.ts'
import { addTelling } from './telling.ts'

export type View = 'public' | 'operator'

const ServerPath = z.object({ server: z.string() })
const CommitPath = z.object({
  sha: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/i, 'a commit is 7 to 64 hex digits')
    .toLowerCase(),
})
const PullPath = z.object({ number: z.coerce.number().int().positive() })
/** Seconds. */
const CommitQuery = z.object({ wait: z.coerce.number().min(0).max(300).default(0) })
const HistoryQuery = z.object({ limit: z.coerce.number().int().min(1).max(500).default(20) })

/** How far back a shortened hash is looked for. */
const searched = 500

/** The verbs that change nothing, the same for people, agents and the CLI. */
export function addReading(
  app: FastifyInstance,
  controller: Controller,
  viewOf: (request: FastifyRequest) => View,
): void {
  const stopping = new AbortController()
  app.addHook('preClose', async () => stopping.abort())

  addRoute(app, 'GET', '/status', (request) => controller.status(viewOf(request)))
  addRoute(app, 'GET', '/status/:server', (request, reply) => answerServer(controller, viewOf(request), request, reply))
  addRoute(app, 'GET', '/history', (request) => controller.history(HistoryQuery.parse(request.query).limit))
  addRoute(app, 'GET', '/commits/:sha', async (request, reply) => {
    const { sha } = CommitPath.parse(request.params)
    const wait = CommitQuery.parse(request.query).wait * 1000
    const found = await findCommit(controller, sha, {
      wait,
      signal: AbortSignal.any([stopping.signal, request.signal]),
    })
    if (found === 'ambiguous') return reply.code(409).send({ error: `several commits begin with ${sha}` })
    return found ?? reply.code(404).send({ error: `commit ${sha} was not seen on this branch` })
  })
  addRoute(app, 'GET', '/pulls/:number', (request, reply) => {
    const { number } = PullPath.parse(request.params)
    const found = controller.pull(number, viewOf(request))
    if (found === undefined) return reply.code(404).send({ error: `no open pull request ${number} was looked at` })
    const isRead = request.headers.accept?.includes('text/html') === true
    return isRead ? reply.type('text/html; charset=utf-8').send(renderPull(found)) : found
  })
  addEvents(app, controller)
  addTelling(app, controller, (request) => viewOf(request) === 'operator')
  addRoute(app, 'GET', '/metrics', async (_request, reply) => reply.type(metricsType).send(await controller.metrics()))
  addRoute(app, 'GET', '/healthz', () => ({ status: 'up' }))
  addRoute(app, 'GET', '/readyz', (_request, reply) => {
    const ready = controller.ready()
    return reply.code(ready.ok ? 200 : 503).send(ready)
  })
}

async function answerServer(controller: Controller, view: View, request: FastifyRequest, reply: FastifyReply) {
  const { server: name } = ServerPath.parse(request.params)
  const { servers } = await controller.status(view)
  const found = servers.find((server) => server.name === name)
  const names = servers.map((server) => server.name).join(', ') || 'none'
  return found ?? reply.code(404).send({ error: `no server "${name}" (there are: ${names})` })
}

interface Waiting {
  /** ms */
  readonly wait: number
  readonly signal: AbortSignal
}

/** Waits for a commit to be seen, too: whoever has just merged asks before the next poll. */
async function findCommit(
  controller: Controller,
  sha: string,
  { wait, signal }: Waiting,
): Promise<CommitStatus | 'ambiguous' | undefined> {
  const end = Date.now() + wait
  while (true) {
    const left = Math.max(0, end - Date.now())
    const full = fullHash(controller, sha)
    if (full === 'ambiguous') return full
    const found = full === undefined ? undefined : await controller.commit(full, left, signal)
    if (found !== undefined || left === 0) return found
    await Promise.all([controller.changed(left, signal), sleep(Math.min(left, 100), undefined, { signal })])
  }
}

function fullHash(controller: Controller, sha: string): string | undefined {
  if (sha.length === 40 || sha.length === 64) return sha
  const [first, second] = controller.history(searched).flatMap(({ commit }) => (commit.startsWith(sha) ? [commit] : []))
  return second === undefined ? first : 'ambiguous'
}
