import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { portOf } from './port.ts'

/** A registry of images in memory that lets in one user. Disposing closes it. */
export interface Registry extends AsyncDisposable {
  /** `host:port`, as an image's name has it. */
  readonly name: string
  readonly user: string
  readonly password: string
}

export async function openRegistry(): Promise<Registry> {
  const [user, password] = ['reader', randomUUID()]
  const store = createStore()
  const wanted = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const server = createServer(async (request, answer) => {
    if (request.headers.authorization === wanted) return store(request, answer)
    request.resume()
    answer.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' })
    answer.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    name: `127.0.0.1:${portOf(server)}`,
    user,
    password,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

interface Stored {
  readonly body: Buffer
  readonly type: string
}

/** As much of the distribution API as the engine needs for a push and a pull. */
function createStore(): (request: IncomingMessage, answer: ServerResponse) => Promise<void> {
  const things = new Map<string, Stored>()
  const uploads = new Map<string, Buffer>()
  return async (request, answer) => {
    const url = new URL(request.url ?? '/', 'http://registry')
    const body = await buffer(request)
    const [, repository = '', kind = '', rest = ''] = /^\/v2\/(.+?)\/(manifests|blobs)\/(.+)$/.exec(url.pathname) ?? []
    if (url.pathname === '/v2/') return void answer.end('{}')
    if (kind === 'blobs' && rest.startsWith('uploads/')) return upload(rest.slice('uploads/'.length))
    if (request.method === 'PUT') {
      const digest = digestOf(body)
      const stored = { body, type: request.headers['content-type'] ?? '' }
      for (const key of [rest, digest]) things.set(key, stored)
      return void answer.writeHead(201, { 'docker-content-digest': digest }).end()
    }
    const found = things.get(rest)
    if (found === undefined) return void answer.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}')
    const headers = { 'content-type': found.type, 'content-length': found.body.length }
    answer.writeHead(200, { ...headers, 'docker-content-digest': digestOf(found.body) })
    answer.end(request.method === 'HEAD' ? undefined : found.body)

    function upload(id: string): void {
      const key = id === '' ? randomUUID() : id
      const whole = Buffer.concat([uploads.get(key) ?? Buffer.alloc(0), body])
      const digest = url.searchParams.get('digest')
      if (request.method === 'PUT' && digest !== null) {
        things.set(digest, { body: whole, type: 'application/octet-stream' })
        answer.writeHead(201, { 'docker-content-digest': digest, location: `/v2/${repository}/blobs/${digest}` }).end()
        return
      }
      uploads.set(key, whole)
      const location = `/v2/${uploadsOf(url.pathname)}${key}`
      answer.writeHead(202, { location, range: `0-${Math.max(0, whole.length - 1)}`, 'docker-upload-uuid': key }).end()
    }
  }
}

function uploadsOf(path: string): string {
  return path.slice('/v2/'.length, path.indexOf('/uploads/') + '/uploads/'.length)
}

function digestOf(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`
}
