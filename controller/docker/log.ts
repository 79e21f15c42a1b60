const header = 8

/** Output without the engine's frames: 8 bytes each, whose last four are the length of what follows. */
export function plainText(framed: Buffer): string {
  const parts: Buffer[] = []
  for (let at = 0; at + header <= framed.length; ) {
    const size = framed.readUInt32BE(at + 4)
    parts.push(framed.subarray(at + header, at + header + size))
    at += header + size
  }
  return Buffer.concat(parts).toString()
}

/** The same of output that still comes: a frame may arrive in parts, and a character in two frames. */
export async function* plainParts(framed: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest: Buffer = Buffer.alloc(0)
  for await (const part of framed) {
    rest = Buffer.concat([rest, Buffer.from(part)])
    while (rest.length >= header && rest.length >= header + rest.readUInt32BE(4)) {
      const end = header + rest.readUInt32BE(4)
      yield decoder.decode(rest.subarray(header, end), { stream: true })
      rest = rest.subarray(end)
    }
  }
}
