import { open, stat, truncate } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isCode } from './life.ts'

const most = 8 * 1024 * 1024
const kept = 256 * 1024

/** ms between two looks at a log that is followed. */
const lookEvery = 250

/** The last `lines` lines, of the last 256 KiB; empty if there is no such file. */
export async function readTail(path: string, lines: number): Promise<string> {
  const size = await sizeOf(path)
  return lastLines((await readPart(path, Math.max(0, size - kept), size)).toString('utf8'), lines)
}

/** The last `lines` lines, and what is added from then on for as long as it `runs`. */
export async function* followTail(
  path: string,
  lines: number,
  { runs, signal }: { readonly runs: () => boolean; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  let at = await sizeOf(path)
  const before = lastLines((await readPart(path, Math.max(0, at - kept), at)).toString('utf8'), lines)
  if (before !== '') yield `${before}\n`
  const decoder = new TextDecoder()
  while (!signal.aborted) {
    const going = runs()
    const size = await sizeOf(path)
    if (size < at) at = 0
    const end = Math.min(size, at + kept)
    if (end > at) yield decoder.decode(await readPart(path, at, end), { stream: true })
    else if (!going) return
    else await sleep(lookEvery, undefined, { signal }).catch(() => {}) // fails by its signal only
    at = end
  }
}

function lastLines(text: string, lines: number): string {
  const trimmed = text.trimEnd()
  return trimmed === '' || lines === 0 ? '' : trimmed.split('\n').slice(-lines).join('\n')
}

/** Cuts a log of more than 8 MiB. Whoever writes it goes on at the new end, because all of them append. */
export async function trimLog(path: string): Promise<void> {
  const size = await sizeOf(path)
  if (size > most) await truncate(path)
}

async function readPart(path: string, from: number, to: number): Promise<Buffer> {
  if (to <= from) return Buffer.alloc(0)
  await using file = await open(path)
  const buffer = Buffer.alloc(to - from)
  const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
  return buffer.subarray(0, bytesRead)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 0
    throw error
  }
}
