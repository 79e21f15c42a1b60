import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'

/** The port that a server listens on. */
export function portOf(server: Pick<Server, 'address'>): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address.port
}

/**
 * Below the ports that kernels give to whoever connects, and beside those that a process host gives to its servers; above 10080, which
 * `fetch` refuses.
 */
const ports = { from: 10_100, count: 9_900 }
let next = randomInt(ports.count)

/** A port of loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < ports.count; tried++) {
    const port = ports.from + (next++ % ports.count)
    if (await isFree(port)) return port
  }
  throw new Error('no port is free')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((found) => {
    const server = createServer()
    server.once('error', () => found(false))
    server.listen(port, '127.0.0.1', () => server.close(() => found(true)))
  })
}
