import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Limits } from './limits.ts'

/** What a client has to take, by its place among all bytes of its connection, and until when, ms since the process began. */
interface Owed {
  readonly upTo: number
  readonly by: number
}

/** Looks at what waits in each time that a client may take for nothing. */
const looks = 4

/** Cuts off clients that take what they were sent too slowly or not at all, whatever else they send meanwhile. */
export function cutOffSlow(server: Server, limits: Limits): void {
  const connections = new Map<Socket, Owed | undefined>()
  server.on('connection', (socket) => {
    connections.set(socket, undefined)
    socket.once('close', () => connections.delete(socket))
  })
  const look = () => {
    const now = performance.now()
    for (const [socket, before] of connections) {
      const owed = owedBy(socket, before, { now, ...limits })
      connections.set(socket, owed)
      if (owed !== undefined && owed.by < now) socket.destroy()
    }
  }
  const clock = setInterval(look, limits.stalled / looks).unref()
  server.once('close', () => clearInterval(clock))
}

type Measure = Pick<Limits, 'stalled' | 'slowest'> & { readonly now: number }

/**
 * All that waits is owed at once: a connection tells of a write only when the whole of it was taken, so that nothing between "all" and
 * "nothing yet" can be told apart.
 */
function owedBy(socket: Socket, before: Owed | undefined, { now, stalled, slowest }: Measure): Owed | undefined {
  const waiting = socket.writableLength
  if (waiting === 0) return undefined
  const sent = socket.bytesWritten
  if (before !== undefined && sent - waiting < before.upTo) return before
  return { upTo: sent, by: now + stalled + (waiting / slowest) * 1_000 }
}
