import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { methods, No, type Wiki } from './outline-methods.ts'
import type { FakeDocument } from './outline-shapes.ts'
import { portOf } from './port.ts'

/** A wiki that answers as Outline does, and remembers. The recorded answers and Prism say whether it does. */
export interface FakeOutline extends AsyncDisposable {
  /** Without `/api`. */
  readonly url: string
  /** A key that may do all, and one that may only search. */
  readonly keys: { readonly whole: string; readonly narrow: string }
  /** What was asked, in order. */
  readonly asked: { readonly method: string; readonly body: unknown; readonly status: number }[]
  /** For what the API has no method here: archiving, deleting. */
  readonly documents: Map<string, FakeDocument>
  /** Methods that answer with what is against the contract. */
  readonly spoilt: Set<string>
  /** Answers a method with 429 for so many seconds; says when to come again unless `silent`. */
  readonly exhaust: (method: string, seconds: number, silent?: 'silent') => void
}

/** `host`: the address that it is asked at, such as one that containers reach. */
export async function startOutline(host = '127.0.0.1'): Promise<FakeOutline> {
  const wiki: Wiki = { documents: new Map(), collections: new Map() }
  const keys = { whole: 'may-all', narrow: 'may-search' }
  const asked: { method: string; body: unknown; status: number }[] = []
  const limits = new Map<string, { readonly until: number; readonly silent: boolean }>()
  const spoilt = new Set<string>()
  const server = createServer(async (request, response) => {
    const method = (request.url ?? '').replace(/^\/api\//, '')
    const sent = await text(request)
    const record = (status: number) => void asked.push({ method, body: readable(sent), status })
    try {
      admit(request, method, keys)
      limit(limits.get(method), response)
      const answer = methodNamed(method)(wiki, readJson(sent), url)
      record(200)
      reply(response, 200, { ...answer, ...(spoilt.has(method) ? { data: 'spoilt' } : {}), status: 200, ok: true })
    } catch (error) {
      if (!(error instanceof No)) throw error
      record(error.status)
      reply(response, error.status, {
        ok: false,
        error: error.error,
        status: error.status,
        message: error.message,
      })
    }
  })
  await new Promise<void>((done) => server.listen(0, host, done))
  const url = `http://${host}:${portOf(server)}`
  return {
    url,
    keys,
    asked,
    documents: wiki.documents,
    spoilt,
    exhaust: (method, seconds, silent) =>
      void limits.set(method, { until: Date.now() + seconds * 1_000, silent: silent !== undefined }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

function admit({ headers }: IncomingMessage, method: string, keys: FakeOutline['keys']): void {
  const key = headers.authorization?.replace(/^Bearer /, '')
  if (key === keys.whole) return
  if (key !== keys.narrow) throw new No(401, 'authentication_required', 'Authentication error')
  if (method !== 'documents.search')
    throw new No(403, 'authorization_error', 'API key does not have access to this resource')
}

function limit(
  limited: { readonly until: number; readonly silent: boolean } | undefined,
  response: ServerResponse,
): void {
  const left = Math.ceil(((limited?.until ?? 0) - Date.now()) / 1_000)
  if (left <= 0) return
  const wait = { 'retry-after': left, 'ratelimit-limit': 100, 'ratelimit-remaining': 0, 'ratelimit-reset': left }
  if (limited?.silent === false) for (const [name, value] of Object.entries(wait)) response.setHeader(name, value)
  throw new No(429, 'rate_limit_exceeded', 'Rate limit exceeded for this operation')
}

function methodNamed(name: string) {
  const method = methods[name]
  if (method === undefined) throw new No(404, 'not_found', 'Resource not found')
  return method
}

function readJson(sent: string): unknown {
  try {
    return JSON.parse(sent || '{}')
  } catch (error) {
    // Where in the text Node found it came to be told after what was recorded.
    throw new No(400, '', error instanceof Error ? error.message.replace(/ \(line.*/, '') : '')
  }
}

function readable(sent: string): unknown {
  try {
    return JSON.parse(sent)
  } catch {
    return sent
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}
