import { inflateSync } from 'node:zlib'

/** A decoded picture: its pixels as 0xRRGGBBAA, row by row. */
export interface Pixels {
  readonly width: number
  readonly height: number
  at(x: number, y: number): number
  /** How many pixels there are of each colour. */
  colours(): ReadonlyMap<number, number>
}

/** Decodes a PNG of 8 bits a channel, RGB or RGBA, not interlaced: what browsers make. */
export function decodePng(png: Buffer): Pixels {
  const { width, height, channels, data } = unpack(png)
  const stride = width * channels
  const rows = unfilter(inflateSync(data), { stride, channels, height })
  const at = (x: number, y: number): number => {
    const start = y * stride + x * channels
    const alpha = channels === 4 ? rows[start + 3]! : 255
    return ((rows[start]! << 24) | (rows[start + 1]! << 16) | (rows[start + 2]! << 8) | alpha) >>> 0
  }
  const colours = () => {
    const counts = new Map<number, number>()
    for (let y = 0; y < height; y += 1)
      for (let x = 0; x < width; x += 1) {
        const colour = at(x, y)
        counts.set(colour, (counts.get(colour) ?? 0) + 1)
      }
    return counts
  }
  return { width, height, at, colours }
}

function unpack(png: Buffer): { width: number; height: number; channels: number; data: Buffer } {
  if (png.toString('latin1', 1, 4) !== 'PNG') throw new Error('not a PNG')
  const [depth, colour, , , interlaced] = png.subarray(24, 29)
  const channels = colour === 6 ? 4 : 3
  if (depth !== 8 || (colour !== 2 && colour !== 6) || interlaced !== 0) throw new Error('a PNG of another kind')
  const parts: Buffer[] = []
  for (let offset = 8; offset < png.length; ) {
    const length = png.readUInt32BE(offset)
    if (png.toString('latin1', offset + 4, offset + 8) === 'IDAT')
      parts.push(png.subarray(offset + 8, offset + 8 + length))
    offset += 12 + length
  }
  return { width: png.readUInt32BE(16), height: png.readUInt32BE(20), channels, data: Buffer.concat(parts) }
}

interface Layout {
  readonly stride: number
  readonly channels: number
  readonly height: number
}

/** What a filter takes a byte to be, by those to the left, above, and above to the left. */
const guesses: readonly ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_left, up) => up,
  (left, up) => (left + up) >> 1,
  paeth,
]

/** Undoes the filters of https://www.w3.org/TR/png-3/#9Filters. */
function unfilter(raw: Buffer, { stride, channels, height }: Layout): Buffer {
  const rows = Buffer.alloc(stride * height)
  for (let y = 0; y < height; y += 1) {
    const guess = guesses[raw[y * (stride + 1)]!]!
    for (let x = 0; x < stride; x += 1) {
      const left = x < channels ? 0 : rows[y * stride + x - channels]!
      const up = y === 0 ? 0 : rows[(y - 1) * stride + x]!
      const corner = x < channels || y === 0 ? 0 : rows[(y - 1) * stride + x - channels]!
      rows[y * stride + x] = raw[y * (stride + 1) + 1 + x]! + guess(left, up, corner)
    }
  }
  return rows
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  if (a <= b && a <= c) return left
  return b <= c ? up : corner
}
