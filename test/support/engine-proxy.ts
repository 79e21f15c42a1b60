import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { engineSocket } from './machine.ts'

/** What a call of the engine meets: a status, silence, a late answer, a half of it, an empty list, the end of its connection. */
export type Fault = 500 | 404 | 409 | 'hang' | 'slow' | 'half' | 'empty' | 'drop'

export interface FaultProxy extends AsyncDisposable {
  /** The socket to speak to instead of the engine's. */
  readonly socket: string
  /** The calls that came, as `GET /containers/json`. */
  readonly calls: readonly string[]
  /** Says what a call meets; undefined lets it through. */
  fault: (call: string) => Fault | undefined
  /** Hears of each call that the engine has done, before who made it does. */
  done: (call: string) => void
  /** Ends every connection that is open. */
  cut(): void
}

/** Stands before the engine's socket and spoils what it is told to. */
export async function openFaultProxy(): Promise<FaultProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-faults-'))
  const socket = join(folder, 'docker.sock')
  const calls: string[] = []
  const server = createServer((asked, answer) => {
    const call = callOf(asked)
    calls.push(call)
    const fault = proxy.fault(call)
    if (fault === undefined && asked.method !== 'GET') forward(asked, answer, () => proxy.done(call))
    else void meet(fault, asked, answer)
  })
  server.on('upgrade', (asked, down, head) => {
    const up = connect(engineSocket)
    const lines = [`${asked.method} ${asked.url} HTTP/1.1`, ...pairsOf(asked.rawHeaders)]
    up.write(`${lines.join('\r\n')}\r\n\r\n`)
    up.write(head)
    up.pipe(down).pipe(up)
    up.on('error', () => down.destroy()).on('close', () => down.destroy())
    down.on('error', () => up.destroy()).on('close', () => up.destroy())
  })
  server.listen(socket)
  await once(server, 'listening')
  const proxy: FaultProxy = {
    socket,
    calls,
    fault: () => undefined,
    done: () => {},
    cut: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return proxy
}

async function meet(fault: Fault | undefined, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  switch (fault) {
    case undefined:
      return forward(asked, answer)
    case 'slow':
      await sleep(200)
      return forward(asked, answer)
    case 'hang':
      return
    case 'drop':
      return void asked.socket.destroy()
    case 'half':
      return forward(asked, answer, 'half')
    case 'empty':
      return void answer.writeHead(200, { 'content-type': 'application/json' }).end('[]')
    default:
      asked.resume()
      return void answer.writeHead(fault, { 'content-type': 'application/json' }).end('{"message":"made up by a test"}')
  }
}

/** Hands on the whole answer, half of it, or all at once when the engine is done. */
function forward(asked: IncomingMessage, answer: ServerResponse, how: 'whole' | 'half' | (() => void) = 'whole'): void {
  const { method, url, headers } = asked
  const up = request({ socketPath: engineSocket, method, path: url, headers }, (came) => {
    const { 'content-length': _, ...rest } = came.headers
    answer.writeHead(came.statusCode ?? 500, how === 'half' ? rest : came.headers)
    answer.flushHeaders()
    if (how === 'whole') return void came.pipe(answer)
    if (how !== 'half') return void handOn(came, answer, how)
    came.once('data', (chunk: Buffer) => {
      answer.end(chunk.subarray(0, Math.floor(chunk.length / 2)))
      came.destroy()
    })
    came.once('end', () => answer.end())
  })
  up.on('error', () => answer.destroy())
  answer.on('close', () => up.destroy())
  asked.pipe(up)
}

async function handOn(came: IncomingMessage, answer: ServerResponse, done: () => void): Promise<void> {
  const body = await came.toArray().catch(() => undefined)
  if (body === undefined) return void answer.destroy()
  done()
  answer.end(Buffer.concat(body))
}

/** Without version and query, and with a star for what is a name. */
function callOf({ method, url = '' }: IncomingMessage): string {
  const path = new URL(url, 'http://engine').pathname.replace(/^\/v[\d.]+/, '')
  const shape = path
    .replace(/^\/(containers|networks|volumes)\/(?!json|create|prune)[^/]+/, '/$1/*')
    .replace(/^\/images\/(?!json|create)[^/]+(?:\/.+(?=\/json))?(\/json)?.*$/, '/images/*$1')
  return `${method} ${shape}`
}

function pairsOf(raw: readonly string[]): string[] {
  return raw.flatMap((name, at) => (at % 2 === 0 ? `${name}: ${raw[at + 1]}` : []))
}
