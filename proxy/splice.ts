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
    found.push({ key: unescaped(text.slice(from + 1, keyEnd - 1)), from, at, to })
    from = skipSeparator(text, to)
  }
  return found
}

function unescaped(key: string): string {
  return key.includes('\\') ? String(JSON.parse(`"${key}"`)) : key
}

/** ASCII without capital letters. */
const plain = /^[\0-@[-\x7f]*$/

/** A key as the most lenient of parsers reads it: some take those that differ only in case, or in form, for the same. */
export function folded(key: string): string {
  return plain.test(key) ? key : key.normalize('NFKC').toLowerCase()
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

/** Writes another text in the place of a member's value. */
export function replace({ at, to }: Member, text: string): Edit {
  return { from: at, to, text }
}

/** Applies edits that do not overlap, in any order. */
export function splice(text: string, edits: readonly Edit[]): string {
  let spliced = ''
  let done = 0
  for (const edit of inOrder(edits)) {
    spliced += text.slice(done, edit.from) + edit.text
    done = edit.to
  }
  return spliced + text.slice(done)
}

function inOrder(edits: readonly Edit[]): readonly Edit[] {
  let last = 0
  for (const { from } of edits) {
    if (from < last) return edits.toSorted((a, b) => a.from - b.from)
    last = from
  }
  return edits
}

/** Writes an object from the text of its members. */
export function objectOf(text: string, kept: readonly Member[], added: readonly string[] = []): string {
  return `{${[...kept.map((member) => text.slice(member.from, member.to)), ...added].join(',')}}`
}

function skipBlank(text: string, at: number): number {
  let i = at
  while (isBlank(text.charCodeAt(i))) i++
  return i
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
}

function skipSeparator(text: string, at: number): number {
  const i = skipBlank(text, at)
  return text[i] === ',' ? skipBlank(text, i + 1) : i
}

function stringEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1)
  while (end >= 0 && escaped(text, end)) end = text.indexOf('"', end + 1)
  return end < 0 ? text.length : end + 1
}

function escaped(text: string, quote: number): boolean {
  let i = quote - 1
  while (text[i] === '\\') i--
  return (quote - i) % 2 === 0
}

const [quote, comma] = [0x22, 0x2c]
const isOpening = (code: number) => code === 0x7b || code === 0x5b
const isClosing = (code: number) => code === 0x7d || code === 0x5d

function valueEnd(text: string, at: number): number {
  const first = text.charCodeAt(at)
  if (first === quote) return stringEnd(text, at)
  return isOpening(first) ? nestEnd(text, at) : primitiveEnd(text, at)
}

function primitiveEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === comma || isClosing(code) || isBlank(code)) return i
  }
  return text.length
}

function nestEnd(text: string, at: number): number {
  let depth = 0
  let i = at
  while (i < text.length) {
    const code = text.charCodeAt(i)
    i = code === quote ? stringEnd(text, i) : i + 1
    if (isOpening(code)) depth++
    if (isClosing(code) && --depth === 0) return i
  }
  return i
}
