import { posix } from 'node:path'

/** A rule's pattern, as parts that each match some of a path. */
type Part =
  | { readonly kind: 'char'; readonly test: (char: string) => boolean }
  /** `*`: any run without a slash. */
  | { readonly kind: 'run' }
  /** `**` inside a pattern: nothing, or all up to some slash. */
  | { readonly kind: 'folders' }
  /** `**` at the end. */
  | { readonly kind: 'rest' }

interface Rule {
  readonly keeps: boolean
  readonly parts: readonly Part[]
}

export class BadPattern extends Error {
  override readonly name = 'BadPattern'
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

const mostRules = 500
/** For all paths together. */
const mostSteps = 10_000_000

/**
 * Reads a `.dockerignore` and gives the question whether a path is left out, with Docker's semantics: patterns are
 * anchored, match what lies below them too, and the last one that matches decides. Matching takes time in proportion to
 * pattern and path, whatever they are, and in all has an end. Both throw `BadPattern`.
 */
export function readDockerignore(text: string): (path: string) => boolean {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/)
  const rules = lines.flatMap((line, index) => readRule(line, index + 1))
  if (rules.length > mostRules) throw new BadPattern(1, `more than ${mostRules} patterns`)
  const known = new Map<string, readonly boolean[]>()
  const effort = { left: mostSteps }
  const matches = (path: string): readonly boolean[] => {
    const before = known.get(path)
    if (before !== undefined) return before
    const slash = path.lastIndexOf('/')
    const above = slash < 0 ? [] : matches(path.slice(0, slash))
    const all = rules.map(({ parts }, index) => above[index] === true || matchesWhole(parts, path, effort))
    known.set(path, all)
    return all
  }
  return (path) => {
    const last = matches(path).lastIndexOf(true)
    return last >= 0 && rules[last]?.keeps === false
  }
}

function readRule(line: string, number: number): readonly Rule[] {
  if (line.startsWith('#')) return []
  const trimmed = line.trim()
  if (trimmed === '') return []
  const keeps = trimmed.startsWith('!')
  const written = keeps ? trimmed.slice(1).trim() : trimmed
  if (written === '') throw new BadPattern(number, 'a "!" alone says nothing')
  const clean = posix.normalize(written).replace(/(?<=.)\/$/, '')
  return [{ keeps, parts: readParts(clean.length > 1 && clean.startsWith('/') ? clean.slice(1) : clean, number) }]
}

function readParts(pattern: string, line: number): readonly Part[] {
  const parts: Part[] = []
  let at = 0
  while (at < pattern.length) {
    const { part, next } = readPart(pattern, at, line)
    parts.push(part)
    at = next
  }
  return parts
}

function readPart(pattern: string, at: number, line: number): { readonly part: Part; readonly next: number } {
  const char = pattern.charAt(at)
  if (pattern.startsWith('**', at)) {
    const next = pattern[at + 2] === '/' ? at + 3 : at + 2
    return { part: { kind: next >= pattern.length ? 'rest' : 'folders' }, next }
  }
  if (char === '*') return { part: { kind: 'run' }, next: at + 1 }
  if (char === '?') return { part: { kind: 'char', test: (found) => found !== '/' }, next: at + 1 }
  if (char === '[') return readClass(pattern, at, line)
  const escaped = char === '\\' && at + 1 < pattern.length
  const literal = escaped ? pattern.charAt(at + 1) : char
  return { part: { kind: 'char', test: (found) => found === literal }, next: at + (escaped ? 2 : 1) }
}

function readClass(pattern: string, at: number, line: number): { readonly part: Part; readonly next: number } {
  const written = /^\[\^?(?:\\.|[^\]\\])+\]/.exec(pattern.slice(at))?.[0]
  if (written === undefined)
    throw new BadPattern(line, `the "[" of ${JSON.stringify(pattern.slice(0, 60))} is not closed`)
  try {
    const form = new RegExp(`^${written.replace(/(?<!^)(?<!\\)\[/g, '\\[')}$`)
    return { part: { kind: 'char', test: (found) => form.test(found) }, next: at + written.length }
  } catch (cause) {
    throw new BadPattern(
      line,
      `${JSON.stringify(written.slice(0, 60))} is not a range of characters (${String(cause)})`,
    )
  }
}

/** Walks all ways through the parts at once: a set of positions, where `open` ones are inside a `**` that awaits its slash. */
function matchesWhole(parts: readonly Part[], path: string, effort: { left: number }): boolean {
  let here = reach(parts, new Set([0]))
  const open = inside(parts, here)
  for (const char of path) {
    if (here.size === 0 && char !== '/') continue
    spend(effort, here.size + open.size)
    const next = new Set<number>()
    for (const at of here) advance(parts, at, { char, next })
    if (char === '/') for (const at of open) next.add(at + 1)
    here = reach(parts, next)
    for (const at of inside(parts, here)) open.add(at)
  }
  return here.has(parts.length)
}

function spend(effort: { left: number }, steps: number): void {
  effort.left -= steps
  if (effort.left < 0) throw new BadPattern(1, 'matching takes too long: write fewer patterns, with fewer "*"')
}

function advance(parts: readonly Part[], at: number, to: { readonly char: string; readonly next: Set<number> }): void {
  const part = parts[at]
  if (part === undefined) return
  if (part.kind === 'char' && part.test(to.char)) to.next.add(at + 1)
  if (part.kind === 'rest' || (part.kind === 'run' && to.char !== '/')) to.next.add(at)
}

/** Positions with those that are reached from them without a character: all but a single one can match nothing. */
function reach(parts: readonly Part[], from: ReadonlySet<number>): Set<number> {
  const all = new Set<number>()
  for (const start of from) {
    let at = start
    all.add(at)
    while (parts[at] !== undefined && parts[at]?.kind !== 'char' && !all.has(at + 1)) all.add(++at)
  }
  return all
}

function inside(parts: readonly Part[], here: ReadonlySet<number>): Set<number> {
  return new Set([...here].filter((at) => parts[at]?.kind === 'folders'))
}
