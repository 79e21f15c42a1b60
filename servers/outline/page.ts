import { ToolFailure } from '../kit/tool.ts'

export interface Place {
  /** From 1. */
  readonly line: number
  /** Characters of that line before it. */
  readonly character: number
}

export interface Page {
  readonly text: string
  /** Number of its last line. */
  readonly last: number
  /** Of the whole. */
  readonly lines: number
  /** Where the rest begins, if there is any. */
  readonly next: Place | undefined
}

/** Whole lines of at most `most` characters together; of a line that is longer than that alone, a part. */
export function cutPage(text: string, from: Place, most: number): Page {
  const lines = text.split('\n')
  const line = lines[from.line - 1]
  if (line === undefined) throw new ToolFailure(`The document has ${lines.length} lines: offset_line is too large.`)
  if (from.character > line.length)
    throw new ToolFailure(`Line ${from.line} has ${line.length} characters: offset_char is too large.`)
  const rest = [line.slice(from.character), ...lines.slice(from.line)]
  const count = howMany(rest, most)
  if (count === 0) return { ...partOf(rest[0] ?? '', from, most), lines: lines.length }
  const last = from.line + count - 1
  return {
    text: rest.slice(0, count).join('\n'),
    last,
    lines: lines.length,
    next: last < lines.length ? { line: last + 1, character: 0 } : undefined,
  }
}

function howMany(lines: readonly string[], most: number): number {
  let taken = 0
  const end = lines.findIndex((line) => {
    taken += line.length + 1
    return taken - 1 > most
  })
  return end === -1 ? lines.length : end
}

function partOf(line: string, from: Place, most: number): Omit<Page, 'lines'> {
  // No half of a character that takes two.
  const text = line.slice(0, most).replace(/[\ud800-\udbff]$/, '')
  return { text, last: from.line, next: { line: from.line, character: from.character + text.length } }
}
