import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** The largest request body, bytes. */
export const bodyLimit = 4 * 1024 * 1024

/** The media type alone of a `Content-Type`, lower case; empty if there is none. */
export function mediaType(header = ''): string {
  const end = header.indexOf(';')
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase()
}

/** Most that comes is one chunk. */
export function wholeOf(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
}

/** Reads a request's JSON body; throws a `Refusal` for another media type, one that is too large and one that is cut off. */
export function readBytes(request: IncomingMessage): Promise<Buffer> {
  const { headers } = request
  const tooLarge = () => new Refusal('too-large', { limit: String(bodyLimit) })
  if (mediaType(headers['content-type']) !== 'application/json') return Promise.reject(new Refusal('media-type'))
  if (Number(headers['content-length'] ?? 0) > bodyLimit) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > bodyLimit) {
        request.pause()
        reject(tooLarge())
      } else chunks.push(chunk)
    })
    request.on('end', () => resolve(wholeOf(chunks)))
    request.on('close', () => {
      if (!request.complete) reject(new Refusal('body-cut'))
    })
  })
}
