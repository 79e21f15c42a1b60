import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fastify } from 'fastify'
import { pack } from '#manifests/packed-table.ts'
import { asksHeader, Report } from '#manifests/table.ts'
import type { Publisher } from './publish.ts'

/** Bytes of a report at most: a few KB for each server. */
const reportLimit = 4 * 1024 * 1024

/** Serves `POST /table` on `table.sock` in the folder that proxies get; the folder is the fence, so the socket is open to all in it. */
export async function openTableSocket(folder: string, publisher: Publisher): Promise<AsyncDisposable> {
  const path = join(folder, 'table.sock')
  const app = fastify({ bodyLimit: reportLimit, forceCloseConnections: true })
  app.post('/table', async (request, reply) => {
    const report = Report.safeParse(request.body)
    if (!report.success) return reply.code(400).send({ error: report.error.message })
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const table = await publisher.poll(report.data, gone.signal)
    if (table !== undefined) return reply.send(pack(table))
    const asks = publisher.asked(report.data.proxy)
    return (asks.length === 0 ? reply : reply.header(asksHeader, asks.join(','))).code(204).send()
  })
  await rm(path, { force: true })
  await app.listen({ path })
  await chmod(path, 0o666)
  return { [Symbol.asyncDispose]: () => app.close() }
}
