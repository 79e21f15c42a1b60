import { buffer } from 'node:stream/consumers'
import { askBehind, type Exchange, openRelay } from './relay.ts'

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
  const relay = await openRelay((exchange) => {
    proxy.requests++
    return pass(target, proxy, exchange)
  })
  const proxy: FaultProxy = {
    url: relay.origin,
    fault: { kind: 'none' },
    requests: 0,
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  }
  return proxy
}

async function pass(target: string, { fault }: FaultProxy, { request, response }: Exchange): Promise<void> {
  if (fault.kind === 'hang') return
  if (fault.kind === 'reset') return void request.socket.resetAndDestroy()
  if (fault.kind === 'answer') return void response.writeHead(fault.status, { ...fault.headers }).end(fault.body ?? '')
  if (fault.kind === 'slow') await new Promise((done) => setTimeout(done, fault.latency))
  const body = await buffer(request)
  const names = ['authorization', 'content-type']
  const { answer, bytes } = await askBehind(target, { request, body, names })
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
