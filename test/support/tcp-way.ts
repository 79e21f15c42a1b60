import { connect, createServer, type Socket } from 'node:net'
import { portOf } from './port.ts'

/** What becomes of a connection once the server has sent so many bytes. */
export interface Break {
  readonly after: number
  readonly how: 'reset' | 'end' | 'hang'
}

/** A way to a port of this machine on which connections can be broken. */
export interface TcpWay extends AsyncDisposable {
  readonly port: number
  break: Break | undefined
}

/** Listens on `host`, which others than this machine may reach. */
export async function openTcpWay(target: number, host = '127.0.0.1'): Promise<TcpWay> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    }
    client.pipe(upstream)
    upstream.once('end', () => client.end())
    client.once('close', () => upstream.destroy())
    let sent = 0
    const pass = (chunk: Buffer) => {
      const left = way.break === undefined ? chunk.length : Math.max(0, way.break.after - sent)
      sent += chunk.length
      client.write(chunk.subarray(0, left))
      if (left >= chunk.length) return
      if (way.break?.how === 'reset') client.resetAndDestroy()
      if (way.break?.how === 'end') client.end()
    }
    if (way.break?.after === 0) pass(Buffer.alloc(1))
    upstream.on('data', pass)
  })
  await new Promise<void>((done) => server.listen(0, host, done))
  const way: TcpWay = {
    port: portOf(server),
    break: undefined,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    },
  }
  return way
}
