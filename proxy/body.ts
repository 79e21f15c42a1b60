import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** The largest request body, bytes. */
export const bodyLimit = 4 * 1024 * 1024

/** Reads a request's JSON body; throws a `Refusal` for another media type, one that is too large and one that is cut off. */
export function readBytes(request: IncomingMessage): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const tooLarge = () => new Refusal('too-large', { limit: String(bodyLimit) })
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') return Promise.reject(new Refusal('media-type'))
  if (Number(request.headers['content-length'] ?? 0) > bodyLimit) return Promise.reject(tooLarge())
  const chunks: Buffer[] = []
  let size = 0
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > bodyLimit) {
      request.pause()
      reject(tooLarge())
    } else chunks.push(chunk)
  })
  request.once('end', () => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)))
  request.once('close', () => {
    if (!request.complete) reject(new Refusal('body-cut'))
  })
  return promise
}
