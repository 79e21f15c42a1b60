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
