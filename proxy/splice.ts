/** Where a member of a JSON object stands in its text: key from `from`, value from `at` up to `to`. */
export interface Member {
  readonly key: string
  readonly from: number
  readonly at: number
  readonly to: number
}

export interface Edit {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** The members of the object whose text begins at `start`, in order, doubles included. The text must have passed `JSON.parse`. */
export function members(text: string, start = 0): readonly Member[] {
  const found: Member[] = []
  let from = skipBlank(text, skipBlank(text, start) + 1)
  while (text[from] === '"') {
    const keyEnd = stringEnd(text, from)
    const at = skipBlank(text, skipBlank(text, keyEnd) + 1)
    const to = valueEnd(text, at)
    found.push({ key: String(JSON.parse(text.slice(from, keyEnd))), from, at, to })
    from = skipSeparator(text, to)
  }
  return found
}

/** The text of each element of the array whose text begins at `start`. */
export function elements(text: string, start = 0): readonly string[] {
  const found: string[] = []
  let at = skipBlank(text, skipBlank(text, start) + 1)
  while (at < text.length && text[at] !== ']') {
    const to = valueEnd(text, at)
    found.push(text.slice(at, to))
    at = skipSeparator(text, to)
  }
  return found
}

/** Applies edits that do not overlap, in any order. */
export function splice(text: string, edits: readonly Edit[]): string {
  const parts: string[] = []
  let done = 0
  for (const edit of edits.toSorted((a, b) => a.from - b.from)) {
    parts.push(text.slice(done, edit.from), edit.text)
    done = edit.to
  }
  return parts.join('') + text.slice(done)
}

/** Writes an object from the text of its members. */
export function objectOf(text: string, kept: readonly Member[], added: readonly string[] = []): string {
  return `{${[...kept.map((member) => text.slice(member.from, member.to)), ...added].join(',')}}`
}

function skipBlank(text: string, at: number): number {
  let i = at
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return i
}

function skipSeparator(text: string, at: number): number {
  const i = skipBlank(text, at)
  return text[i] === ',' ? skipBlank(text, i + 1) : i
}

function stringEnd(text: string, at: number): number {
  let quote = text.indexOf('"', at + 1)
  while (quote >= 0 && escaped(text, quote)) quote = text.indexOf('"', quote + 1)
  return quote < 0 ? text.length : quote + 1
}

function escaped(text: string, quote: number): boolean {
  let i = quote - 1
  while (text[i] === '\\') i--
  return (quote - i) % 2 === 0
}

const primitiveEnd = /[,\]}\s]|$/g
const bracket = /["{}[\]]/g

function valueEnd(text: string, at: number): number {
  const first = text[at]
  if (first === '"') return stringEnd(text, at)
  if (first === '{' || first === '[') return nestEnd(text, at)
  primitiveEnd.lastIndex = at
  return primitiveEnd.exec(text)?.index ?? text.length
}

function nestEnd(text: string, at: number): number {
  let depth = 0
  let i = at
  do {
    bracket.lastIndex = i
    const index = bracket.exec(text)?.index
    if (index === undefined) return text.length
    const found = text[index]
    i = found === '"' ? stringEnd(text, index) : index + 1
    if (found === '{' || found === '[') depth++
    if (found === '}' || found === ']') depth--
  } while (depth > 0)
  return i
}
