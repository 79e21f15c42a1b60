import { open, stat, truncate } from 'node:fs/promises'
import { isCode } from './life.ts'

const most = 8 * 1024 * 1024
const kept = 256 * 1024

/** The last `lines` lines, of the last 256 KiB; empty if there is no such file. */
export async function readTail(path: string, lines: number): Promise<string> {
  const text = (await readEnd(path)).trimEnd()
  return text === '' ? '' : text.split('\n').slice(-lines).join('\n')
}

/** Cuts a log of more than 8 MiB. Whoever writes it goes on at the new end, because all of them append. */
export async function trimLog(path: string): Promise<void> {
  const size = await sizeOf(path)
  if (size > most) await truncate(path)
}

async function readEnd(path: string): Promise<string> {
  const size = await sizeOf(path)
  if (size === 0) return ''
  await using file = await open(path)
  const buffer = Buffer.alloc(Math.min(size, kept))
  const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length)
  return buffer.toString('utf8', 0, bytesRead)
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 0
    throw error
  }
}
