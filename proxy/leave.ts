import type { Server, ServerResponse } from 'node:http'
import { Server as NetServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Bag } from './bag.ts'
import type { Exchanges } from './exchange.ts'

/** Clients may be about to send on an idle connection: it is closed only when they have had time to hear of it, ms. */
const idleGrace = 4_000
const sweepPause = 250
/** How long calls in flight may go on, ms. */
const finishLimit = 60_000

/**
 * Prepares a server to be left without a reset connection. The returned function leaves: no new connections, `Connection: close` on
 * every answer, streams ended at once, calls finished up to a limit; it resolves when no connection is left.
 */
export function prepareLeaving(server: Server, exchanges: Exchanges): () => Promise<void> {
  const open = new Bag<ServerResponse>()
  let leaving = false
  server.prependListener('request', (_request, response) => {
    if (leaving) response.setHeader('connection', 'close')
    response.on('close', open.add(response))
  })
  return async () => {
    leaving = true
    const closed = new Promise<void>((done) => {
      // http.Server's own close also closes idle connections, on which a client may be sending just now.
      NetServer.prototype.close.call(server, () => done())
    })
    for (const response of open) if (!response.headersSent) response.setHeader('connection', 'close')
    exchanges.endAll('stream')
    const finished = new AbortController()
    await Promise.race([closed, sweep(server, exchanges, finished.signal)])
    finished.abort()
  }
}

async function sweep(server: Server, exchanges: Exchanges, signal: AbortSignal): Promise<void> {
  const pause = (ms: number) => sleep(ms, undefined, { signal }).catch(() => undefined)
  const end = Date.now() + finishLimit
  await pause(idleGrace)
  while (!signal.aborted && Date.now() < end) {
    server.closeIdleConnections()
    await pause(sweepPause)
  }
  exchanges.endAll('all')
  await pause(sweepPause)
  server.closeAllConnections()
}
