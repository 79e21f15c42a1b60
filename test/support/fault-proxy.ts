import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { portOf } from './port.ts'

/** How the connection misbehaves from now on. */
export type HttpFault =
  | { readonly kind: 'none' }
  /** Takes requests and never answers. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'slow'; readonly latency: number }
  | { readonly kind: 'reset' }
  /** Ends in the middle of the answer's body. */
  | { readonly kind: 'half' }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }

/** A way to an HTTP server that can be disturbed. */
export interface FaultProxy extends AsyncDisposable {
  readonly url: string
  fault: HttpFault
  /** How many requests came, whatever became of them. */
  requests: number
}

export async function openFaultProxy(target: string): Promise<FaultProxy> {
  const server = createServer((request, response) => {
    proxy.requests++
    void pass(target, proxy, { request, response }).catch(() => response.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${portOf(server)}`,
    fault: { kind: 'none' },
    requests: 0,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return proxy
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function pass(target: string, { fault }: FaultProxy, { request, response }: Exchange): Promise<void> {
  if (fault.kind === 'hang') return
  if (fault.kind === 'reset') return void request.socket.resetAndDestroy()
  if (fault.kind === 'answer') return void response.writeHead(fault.status, { ...fault.headers }).end(fault.body ?? '')
  if (fault.kind === 'slow') await new Promise((done) => setTimeout(done, fault.latency))
  const body = Buffer.concat(await Array.fromAsync<Buffer>(request))
  const { authorization, 'content-type': type } = request.headers
  const answer = await fetch(`${target}${request.url}`, {
    method: request.method ?? 'GET',
    headers: { ...(authorization && { authorization }), ...(type && { 'content-type': type }) },
    ...(body.length === 0 ? {} : { body }),
  })
  const bytes = Buffer.from(await answer.arrayBuffer())
  const link = answer.headers.get('link')
  response.writeHead(answer.status, {
    'content-type': answer.headers.get('content-type') ?? '',
    'content-length': bytes.length,
    ...(link === null ? {} : { link }),
  })
  if (fault.kind !== 'half') return void response.end(bytes)
  response.write(bytes.subarray(0, bytes.length / 2))
  setTimeout(() => request.socket.destroy(), 20)
}
