import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { portOf } from './port.ts'

/** A request, and where its answer goes. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

export interface Relay extends AsyncDisposable {
  readonly origin: string
}

/** An HTTP server of the test's own on loopback; where `pass` fails, the connection breaks. */
export async function openRelay(pass: (exchange: Exchange) => Promise<void>): Promise<Relay> {
  const server = createServer((request, response) => {
    void pass({ request, response }).catch(() => response.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    origin: `http://127.0.0.1:${portOf(server)}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

interface Behind {
  readonly request: IncomingMessage
  readonly body: Buffer
  /** Headers that are sent on. */
  readonly names: readonly string[]
}

/** What the server at `origin` answers to a request. */
export async function askBehind(
  origin: string,
  { request, body, names }: Behind,
): Promise<{ readonly answer: Response; readonly bytes: Buffer }> {
  const headers = new Headers()
  for (const name of names) {
    const value = request.headers[name]
    if (typeof value === 'string') headers.set(name, value)
  }
  const sent = body.length === 0 ? {} : { body }
  const answer = await fetch(`${origin}${request.url}`, { method: request.method ?? 'GET', headers, ...sent })
  return { answer, bytes: Buffer.from(await answer.arrayBuffer()) }
}
