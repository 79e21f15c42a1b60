/** An answer was larger than it may be. */
export class TooLarge extends Error {}

/** Reads a body of at most so many bytes; what is more is not waited for. */
export async function readLimited(body: AsyncIterable<Uint8Array> | null, most: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > most) throw new TooLarge(`it is larger than ${most} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}
