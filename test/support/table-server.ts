import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from '#manifests/packed-table.ts'
import { Report, type Table } from '#manifests/table.ts'

/** A controller that only hands out tables, for driving a proxy: `POST /table` on a unix socket, and a record of all reports. */
export interface TableServer extends AsyncDisposable {
  /** Path of the socket. */
  readonly socket: string
  readonly reports: readonly Report[]
  /** The last report of each proxy. */
  readonly latest: ReadonlyMap<string, Report>
  /** Hands a table to every proxy that has an older one. */
  publish(table: Table): void
  /** Answers the open polls with 204, as after the longest hold. */
  release(): void
  /** Stops answering, as a controller that is restarted; `start` goes on. */
  stop(): Promise<void>
  start(): Promise<void>
}

export async function openTableServer(): Promise<TableServer> {
  const folder = await mkdtemp(join(tmpdir(), 'table-'))
  const socket = join(folder, 's')
  const reports: Report[] = []
  const latest = new Map<string, Report>()
  const waiting = new Map<ServerResponse, number>()
  let table: Table | undefined
  const offer = () => {
    for (const [response, have] of waiting) {
      if (table === undefined || table.revision <= have) continue
      waiting.delete(response)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(pack(table)))
    }
  }
  const make = () =>
    createServer(async (request, response) => {
      const report = Report.parse(JSON.parse(Buffer.concat(await request.toArray()).toString()))
      reports.push(report)
      latest.set(report.proxy, report)
      waiting.set(response, report.have)
      response.once('close', () => waiting.delete(response))
      offer()
    })
  let server = make()
  const start = async () => {
    server = make()
    await new Promise<void>((done) => server.listen(socket, done))
  }
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  await start()
  return {
    socket,
    reports,
    latest,
    publish: (next) => {
      table = next
      offer()
    },
    release: () => {
      for (const response of waiting.keys()) response.writeHead(204).end()
      waiting.clear()
    },
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
