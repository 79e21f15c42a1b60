import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Unreadable } from '../record.ts'

/** What a file holds, unpacked if it is a `.gz`. */
export interface Content {
  /** Its first bytes. */
  readonly head: Buffer
  /** Characters, in pieces. @throws Unreadable for what is no text, or too much. */
  readonly text: () => AsyncIterable<string>
  /** All of it. @throws Unreadable if it is larger than `most`. */
  readonly bytes: (most: number) => Promise<Buffer<ArrayBuffer>>
}

export interface Opened extends Content, AsyncDisposable {
  /** Differs once the file is another, or has another content. */
  readonly print: () => Promise<string>
}

export interface Stamp {
  readonly size: number
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly ino: number
}

export function printOf({ size, mtimeMs, ctimeMs, ino }: Stamp): string {
  return [size, mtimeMs, ctimeMs, ino].join(':')
}

const headBytes = 64 * 1024
const pieceBytes = 64 * 1024
/** Bytes of a file, packed or not. An export of many years is less; what unpacks to more is no export. */
const mostBytes = 4 * 1024 ** 3

/** Opens a file for reading; never a link, and never what would make a reader wait, as a pipe does. */
export async function openContent(path: string, signal: AbortSignal): Promise<Opened> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stamp = await file.stat()
    if (!stamp.isFile()) throw new Unreadable('not a file')
    if (stamp.size > mostBytes) throw new Unreadable(`${stamp.size} bytes, more than the ${mostBytes} that are read`)
    const first = Buffer.alloc(2)
    await file.read(first, 0, 2, 0)
    const packed = first[0] === 0x1f && first[1] === 0x8b
    const pieces = () => readPieces(file, packed, signal)
    const head = await headOf(pieces())
    return {
      head,
      text: () => decode(pieces(), head),
      bytes: (most) => gather(pieces(), most),
      print: async () => printOf(await file.stat()),
      [Symbol.asyncDispose]: () => file.close(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function* readPieces(file: FileHandle, packed: boolean, signal: AbortSignal): AsyncGenerator<Buffer> {
  const raw = readRaw(file, signal)
  const source: AsyncIterable<Buffer> = packed ? pipeline(raw, createGunzip(), () => {}) : raw
  let bytes = 0
  try {
    for await (const piece of source) {
      bytes += piece.length
      if (bytes > mostBytes) throw new Unreadable(`more than ${mostBytes} bytes when it is unpacked`)
      yield piece
    }
  } catch (error) {
    throw isOfZlib(error) ? new Unreadable(`not a whole .gz: ${error.message}`, { cause: error }) : error
  }
}

/** By positions, so that a file may be read more than once. */
async function* readRaw(file: FileHandle, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    signal.throwIfAborted()
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(pieceBytes), position })
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

function isOfZlib(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
}

async function headOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const gathered: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    gathered.push(piece)
    bytes += piece.length
    if (bytes >= headBytes) break
  }
  return Buffer.concat(gathered).subarray(0, headBytes)
}

async function gather(pieces: AsyncIterable<Buffer>, most: number): Promise<Buffer<ArrayBuffer>> {
  const gathered: Buffer[] = []
  let bytes = 0
  for await (const piece of pieces) {
    bytes += piece.length
    if (bytes > most) throw new Unreadable(`more than ${most} bytes`)
    gathered.push(piece)
  }
  return Buffer.concat(gathered)
}

/** UTF-8, or UTF-16 where a mark says so; its mark is left out. */
export function encodingOf(head: Buffer): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le'
  return head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : 'utf-8'
}

async function* decode(pieces: AsyncIterable<Buffer>, head: Buffer): AsyncGenerator<string> {
  const encoding = encodingOf(head)
  const decoder = new TextDecoder(encoding, { fatal: true })
  try {
    for await (const piece of pieces) yield decoder.decode(piece, { stream: true })
    yield decoder.decode()
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new Unreadable(`not ${encoding.toUpperCase()} text: save it as UTF-8`, { cause: error })
  }
}
