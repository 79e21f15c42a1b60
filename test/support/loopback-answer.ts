import { openLoopback } from './loopback.ts'

/** A server that remembers who came, for a block that ends it. */
export async function createLoopbackAnswer() {
  const loopback = await openLoopback()
  return { url: loopback.url, seen: loopback.seen, [Symbol.asyncDispose]: () => loopback.close() }
}
