import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { CommitStatus } from '#manifests/status.ts'
import type { Controller } from '../controller.ts'
import { addRoute } from './door.ts'

/** How many may listen at once; more are asked to come back. */
const most = 64

/** A comment so often keeps proxies between from closing what seems idle, ms. */
const beat = 15_000

/** `GET /events`: what becomes of commits, as it happens (server-sent events; the data of each is a `CommitStatus`). */
export function addEvents(app: FastifyInstance, controller: Controller): void {
  const stopping = new AbortController()
  app.addHook('preClose', async () => stopping.abort())
  let open = 0
  addRoute(app, 'GET', '/events', (request, reply) => {
    reply.type('text/event-stream')
    if (request.method === 'HEAD') return reply.send()
    if (open >= most)
      return reply
        .code(503)
        .type('application/json')
        .header('retry-after', 10)
        .send({ error: `${most} listen already; try again later` })
    const stream = Readable.from(events(controller, AbortSignal.any([stopping.signal, request.signal])))
    open++
    stream.once('close', () => open--)
    return reply.send(stream)
  })
}

/** The head of the branch as it stands, then each commit whenever more is said of it. */
async function* events(controller: Controller, signal: AbortSignal): AsyncGenerator<string> {
  const news = controller.news(beat, signal)
  const [head] = controller.history(1)
  yield head === undefined ? ': no commit yet\n\n' : eventOf(head)
  for await (const status of news) yield status === undefined ? ': nothing new\n\n' : eventOf(status)
}

function eventOf(status: CommitStatus): string {
  return `event: commit\ndata: ${JSON.stringify(status)}\n\n`
}
