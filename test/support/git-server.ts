import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { basename, dirname } from 'node:path'
import { portOf } from './port.ts'

/** How the server misbehaves from now on. */
export type GitFault =
  | { readonly kind: 'none' }
  /** ms before each answer */
  | { readonly kind: 'slow'; readonly latency: number }
  /** Takes requests and never answers. */
  | { readonly kind: 'hang' }
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'redirect'; readonly to: string }
  /** Ends the connection in the middle of the answer to a fetch. */
  | { readonly kind: 'cut' }

export interface GitRequest {
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly authorization: string | undefined
}

/** A bare repository over HTTP, by git's own `http-backend`: fetch and push. */
export interface GitServer extends AsyncDisposable {
  /** Of the repository, without credentials. */
  readonly url: string
  readonly requests: GitRequest[]
  /** The token that is asked for, as password of any user or as `token`/`Bearer`; undefined opens the repository to all. */
  token: string | undefined
  fault: GitFault
}

export interface GitServerOptions {
  readonly token?: string
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Default 127.0.0.1 and a free port. */
  readonly host?: string
  readonly port?: number
}

export async function serveGit(bare: string, options: GitServerOptions = {}): Promise<GitServer> {
  const { tls, host = '127.0.0.1', port = 0 } = options
  const listener: RequestListener = (request, response) => void answer(bare, state, { request, response })
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>((done, fail) => server.once('error', fail).listen(port, host, done))
  const state: GitServer = {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${portOf(server)}/${basename(bare)}`,
    requests: [],
    token: options.token,
    fault: { kind: 'none' },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return state
}

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

async function answer(bare: string, { requests, token, fault }: GitServer, exchange: Exchange): Promise<void> {
  const { request, response } = exchange
  const { authorization } = request.headers
  requests.push({ method: request.method ?? '', path: request.url ?? '', authorization })
  if (fault.kind === 'hang') return
  if (fault.kind === 'slow') await new Promise((done) => setTimeout(done, fault.latency))
  if (fault.kind === 'status') return void response.writeHead(fault.status).end()
  if (fault.kind === 'redirect') return void response.writeHead(302, { location: `${fault.to}${request.url}` }).end()
  if (token !== undefined && !carries(authorization, token))
    return void response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
  if (fault.kind === 'cut' && request.method === 'POST')
    response.on('pipe', () => setImmediate(() => request.socket.destroy()))
  runBackend({ root: dirname(bare), path: decodeURIComponent(exchange.request.url?.split('?')[0] ?? '') }, exchange)
}

function carries(authorization: string | undefined, token: string): boolean {
  const [scheme = '', value = ''] = authorization?.split(' ') ?? []
  if (scheme.toLowerCase() === 'basic') return Buffer.from(value, 'base64').toString().endsWith(`:${token}`)
  return value === token
}

/** What git is to serve: the repository that `path` begins with, below `root`. */
export interface Served {
  readonly root: string
  readonly path: string
  readonly user?: string
  /** Awaited before the answer ends, once git has done its part. */
  readonly onEnd?: () => Promise<void>
}

/** RFC 3875, as far as git's `http-backend` uses it. */
export function runBackend({ root, path, user, onEnd }: Served, { request, response }: Exchange): void {
  const [, query = ''] = (request.url ?? '').split('?')
  const { headers } = request
  const cgi = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      ...(user === undefined ? {} : { REMOTE_USER: user }),
      QUERY_STRING: query,
      CONTENT_TYPE: headers['content-type'] ?? '',
      ...(headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: headers['content-length'] }),
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
    },
  })
  request.pipe(cgi.stdin)
  cgi.stdin.on('error', () => request.unpipe())
  response.on('close', () => cgi.kill())
  let head = Buffer.alloc(0)
  cgi.stdout.on('data', function read(chunk: Buffer) {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    cgi.stdout.off('data', read)
    const fields = head
      .subarray(0, end)
      .toString()
      .split('\r\n')
      .map((line) => line.split(': '))
    const status = fields.find(([name]) => name === 'Status')?.[1]
    response.writeHead(
      Number.parseInt(status ?? '200', 10),
      Object.fromEntries(fields.filter(([name]) => name !== 'Status')),
    )
    response.write(head.subarray(end + 4))
    cgi.stdout.pipe(response, { end: onEnd === undefined })
    if (onEnd !== undefined) cgi.on('close', () => void onEnd().finally(() => response.end()))
  })
}
