import type { IncomingMessage, ServerResponse } from 'node:http'
import { request } from 'node:http'
import { openListener, openUpstream, type Upstream, type UpstreamKind } from './mcp-upstream.ts'

/** An outside server that wants a credential with every request, and counts those that came without it. */
export interface Guarded extends AsyncDisposable {
  readonly origin: string
  /** The values of the header that it takes. */
  readonly takes: Set<string>
  /** Method, JSON-RPC method and header of each request that it refused. */
  readonly refused: readonly string[]
  readonly seen: Upstream['seen']
  readonly inner: Upstream
}

export const guardWords = 'the upstream refuses and says why'

export async function openGuarded(
  kind: UpstreamKind,
  { header = 'authorization', takes = [] }: { readonly header?: string; readonly takes?: readonly string[] } = {},
): Promise<Guarded> {
  const inner = await openUpstream(kind)
  const accepted = new Set(takes)
  const refused: string[] = []
  const outer = await openListener((incoming, response) => {
    if (accepted.has(String(incoming.headers[header]))) return pass(inner.origin, incoming, response)
    incoming.resume().once('end', () => {
      const { body } = outer.seen.find((one) => one.headers === incoming.headers) ?? { body: '' }
      const method = /"method":"([^"]+)"/.exec(body)?.[1] ?? ''
      refused.push(`${incoming.method} ${method}`.trim())
      const challenge = 'Bearer realm="the upstream", resource_metadata="https://auth.example"'
      response.writeHead(401, { 'www-authenticate': challenge, 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: guardWords, sent: incoming.headers[header] ?? '' }))
    })
  })
  return {
    origin: outer.origin,
    takes: accepted,
    refused,
    seen: outer.seen,
    inner,
    [Symbol.asyncDispose]: async () => {
      await outer[Symbol.asyncDispose]()
      await inner[Symbol.asyncDispose]()
    },
  }
}

function pass(origin: string, incoming: IncomingMessage, response: ServerResponse): void {
  const { method, headers, url } = incoming
  const onward = request(`${origin}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    response.flushHeaders()
    answer.pipe(response)
  })
  onward.on('error', () => response.destroy())
  response.once('close', () => onward.destroy())
  incoming.pipe(onward)
}
