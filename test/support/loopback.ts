import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'

/** A real server on loopback, TCP and UDP on one port, that remembers who came. */
export interface Loopback {
  readonly port: number
  /** `http://127.0.0.1:port`. */
  readonly url: string
  /** Each connection, request and datagram, as `GET /path`, `upgrade /path`, `tcp` or `udp`. */
  readonly seen: string[]
  close(): Promise<void>
}

export async function openLoopback(): Promise<Loopback> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.writeHead(200, { 'access-control-allow-origin': '*', 'content-type': 'text/css' }).end('')
  })
  server.on('connection', () => seen.push('tcp'))
  server.on('upgrade', (request, socket) => {
    seen.push(`upgrade ${request.url}`)
    socket.destroy()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = addressOf(server.address())
  const datagrams = createSocket('udp4', () => seen.push('udp'))
  await new Promise<void>((done) => datagrams.bind(port, '127.0.0.1', done))
  const close = async () => {
    await new Promise<void>((done) => datagrams.close(done))
    server.closeAllConnections()
    await new Promise<void>((done) => server.close(() => done()))
  }
  return { port, url: `http://127.0.0.1:${port}`, seen, close }
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address instanceof Object && isIP(address.address)) return address
  throw new Error('the server has no address')
}
