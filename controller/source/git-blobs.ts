import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

/** Bytes of one blob that are read into memory at once. */
const blobLimit = 100 * 2 ** 20
/** ms that git may take for the next piece of output. */
const patience = 60_000

/** A blob is missing or damaged. */
export class BlobFault extends Error {
  override readonly name = 'BlobFault'
}

/**
 * Contents of blobs in the order asked, by one `git cat-file --batch`, at the reader's pace: no more than a blob is held.
 * The process ends with the last blob, with the reader, or with the signal. Throws `BlobFault`, `RangeError` for a blob over `blobLimit`, and what the signal says.
 */
export async function* readBlobs(
  oids: readonly string[],
  env: Record<string, string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  signal?.throwIfAborted()
  if (oids.length === 0) return
  const git = spawn('git', ['cat-file', '--batch'], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  const stop = (error?: Error) => {
    git.kill('SIGKILL')
    git.stdout.destroy(error)
  }
  const abort = () => stop()
  signal?.addEventListener('abort', abort)
  git.once('error', stop)
  git.stdin.on('error', abort)
  git.stdin.end(`${oids.join('\n')}\n`)
  try {
    const pieces = new Pieces(git.stdout)
    for (const oid of oids) {
      yield await readBlob(oid, pieces)
      signal?.throwIfAborted()
    }
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
    stop()
  }
}

async function readBlob(oid: string, pieces: Pieces): Promise<Buffer> {
  const header = (await pieces.until(10)).toString('latin1')
  const size = Number(/^[0-9a-f]+ blob (\d+)$/.exec(header)?.[1] ?? Number.NaN)
  if (Number.isNaN(size)) throw new BlobFault(`git has no blob ${oid}: ${header}`)
  if (size > blobLimit) throw new RangeError(`blob ${oid} has ${size} bytes, at most ${blobLimit} are read`)
  const body = await pieces.take(size)
  await pieces.take(1)
  return body
}

/** git's output, cut where the caller says. */
class Pieces {
  readonly #stream: Readable
  readonly #pieces: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: Readable) {
    this.#stream = stream
    this.#pieces = stream[Symbol.asyncIterator]()
  }

  async until(byte: number): Promise<Buffer> {
    let end = this.#rest.indexOf(byte)
    while (end < 0) {
      this.#rest = Buffer.concat([this.#rest, await this.#next()])
      end = this.#rest.indexOf(byte)
    }
    const line = this.#rest.subarray(0, end)
    this.#rest = this.#rest.subarray(end + 1)
    return line
  }

  async take(size: number): Promise<Buffer> {
    const taken = Buffer.allocUnsafeSlow(size)
    let filled = this.#rest.copy(taken)
    this.#rest = this.#rest.subarray(filled)
    while (filled < size) {
      const piece = await this.#next()
      const copied = piece.copy(taken, filled)
      this.#rest = piece.subarray(copied)
      filled += copied
    }
    return taken
  }

  async #next(): Promise<Buffer> {
    const late = new BlobFault(`git gave nothing for ${patience / 1_000} s`)
    const timer = setTimeout(() => this.#stream.destroy(late), patience)
    try {
      const { value, done } = await this.#pieces.next()
      if (done === true) throw new BlobFault('git ended before the last blob')
      return value
    } finally {
      clearTimeout(timer)
    }
  }
}
