import { chmod, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Controller } from '../controller.ts'
import { adminSocket } from './admin-socket.ts'
import { addRoute, createDoor } from './door.ts'
import { narrated } from './narrated.ts'
import { addReading } from './reading.ts'

/** Seconds; a commit may build several images. */
const ReconcileQuery = z.object({
  wait: z.coerce.number().min(0).max(7200).default(3600),
  /** With what goes on meanwhile, a JSON document a line. */
  words: z.stringbool().default(false),
})
const DownQuery = z.object({ volumes: z.stringbool().default(false) })
const PlanPath = z.object({ plan: z.string() })
const ServerPath = z.object({ server: z.string() })
const RollbackQuery = z.object({ to: z.string().optional() })
/** ms */
const rollbackWithin = 60_000
const downWithin = 300_000

/**
 * The changing verbs, for whoever may write to `<state>/admin.sock` (0660). It works when forge, proxy and every grant
 * are broken. Throws if another controller listens there; a dead one's socket is replaced.
 */
export async function openAdmin(
  controller: Controller,
  state: string,
  log?: FastifyBaseLogger,
): Promise<FastifyInstance> {
  const path = adminSocket(state)
  if (await answers(path)) throw new Error(`another controller listens at ${path}`)
  await rm(path, { force: true })
  const app = createDoor(log)
  addReading(app, controller, () => 'operator')
  addChanging(app, controller)
  await app.listen({ path })
  await chmod(path, 0o660)
  return app
}

function addChanging(app: FastifyInstance, controller: Controller): void {
  const stopping = new AbortController()
  app.addHook('preClose', async () => stopping.abort())

  addRoute(app, 'POST', '/reconcile', (request, reply) => {
    const { wait, words } = ReconcileQuery.parse(request.query)
    const signal = AbortSignal.any([stopping.signal, request.signal, AbortSignal.timeout(Math.max(1, wait * 1_000))])
    if (wait > 0 && words) return reply.type('application/x-ndjson').send(Readable.from(narrated(controller, signal)))
    if (wait > 0) return controller.reconcile(signal)
    controller.poke()
    return reply.code(202).send({ status: 'asked for' })
  })
  addRoute(app, 'POST', '/approve/:plan', (request) => {
    controller.approve(PlanPath.parse(request.params).plan)
    return { status: 'approved' }
  })
  for (const verb of ['suspend', 'resume', 'retry'] as const)
    addRoute(app, 'POST', `/${verb}/:server`, (request) => {
      controller[verb](ServerPath.parse(request.params).server)
      return { status: 'done' }
    })
  addRoute(app, 'POST', '/rollback/:server', (request) => {
    const { server } = ServerPath.parse(request.params)
    const { to } = RollbackQuery.parse(request.query)
    return controller.rollback(server, to, AbortSignal.any([stopping.signal, AbortSignal.timeout(rollbackWithin)]))
  })
  addRoute(app, 'POST', '/down', async (request) => {
    const { volumes } = DownQuery.parse(request.query)
    await controller.down({ volumes }, AbortSignal.any([stopping.signal, AbortSignal.timeout(downWithin)]))
    return { status: 'down' }
  })
}

async function answers(path: string): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect(path)
    socket.setTimeout(1_000, () => socket.destroy())
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
    socket.once('close', () => done(false))
    socket.once('connect', () => socket.destroy())
  })
}
