/** A line of an env file that has no meaning. The message never quotes a value. */
export class EnvFileFault extends Error {
  override readonly name = 'EnvFileFault'
  readonly line: number
  constructor(line: number, message: string) {
    super(message)
    this.line = line
  }
}

interface Statement {
  readonly name: string
  readonly text: string
  readonly quote: '"' | "'" | ''
  readonly line: number
}

const notAStatement = 'this is no NAME=value'
const namePattern = /(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*/y
const quotedPattern = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/sy
const restPattern = /[^\n]*/y
const restAfterQuote = /[ \t]*(?:#[^\n]*)?(?=\n|$)/y

/**
 * Reads an env file as `docker compose` does: `export`, comments, quotes, several lines within quotes, escapes within
 * double ones, `$NAME` and `${NAME:-default}` from names above outside single ones, `$$` for a dollar sign. Different in
 * two points: a `$NAME` that is not defined is an error instead of an empty text, and a name without `=` is not taken
 * from this process's environment. Throws `EnvFileFault`.
 */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (const { name, text: raw, quote, line } of statements(text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n'))) {
    const value =
      quote === "'" ? raw.replaceAll("\\'", "'") : interpolate(quote === '"' ? unescaped(raw) : raw, values, line)
    // Whoever is asked to start a program with one refuses, and repeats the value.
    if (value.includes('\0')) throw new EnvFileFault(line, `${name} holds a NUL, which no variable can`)
    values.set(name, value)
  }
  return values
}

function* statements(text: string): Generator<Statement> {
  const cursor = new Cursor(text)
  for (;;) {
    cursor.take(/(?:\s|#[^\n]*)*/y)
    if (cursor.atEnd()) return
    const { line } = cursor
    const name = cursor.take(namePattern)?.[1]
    if (name === undefined) throw new EnvFileFault(line, notAStatement)
    if (cursor.take(/(?=\n|$)/y) !== null) continue
    if (cursor.take(/[=:]/y) === null) throw new EnvFileFault(line, notAStatement)
    yield { name, line, ...readValue(cursor, name) }
  }
}

function readValue(cursor: Cursor, name: string): Pick<Statement, 'text' | 'quote'> {
  const { line } = cursor
  const spaced = cursor.take(/[ \t]*/y)?.[0] !== ''
  if (!cursor.sees('"') && !cursor.sees("'")) {
    const rest = cursor.take(restPattern)?.[0] ?? ''
    return { text: `${spaced ? ' ' : ''}${rest}`.replace(/\s#.*$/, '').trim(), quote: '' }
  }
  const quoted = cursor.take(quotedPattern)
  if (quoted === null) throw new EnvFileFault(line, `the quote of ${name} is never closed`)
  if (cursor.take(restAfterQuote) === null)
    throw new EnvFileFault(line, `something follows the closing quote of ${name}`)
  const [, double, single = ''] = quoted
  return double === undefined ? { text: single, quote: "'" } : { text: double, quote: '"' }
}

/** A place in a text. */
class Cursor {
  readonly #text: string
  #at = 0
  #line = 1

  constructor(text: string) {
    this.#text = text
  }

  /** 1-based. */
  get line(): number {
    return this.#line
  }

  atEnd(): boolean {
    return this.#at >= this.#text.length
  }

  sees(letter: string): boolean {
    return this.#text[this.#at] === letter
  }

  /** What a sticky pattern matches here, and goes behind it. */
  take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return null
    this.#at = pattern.lastIndex
    this.#line += match[0].split('\n').length - 1
    return match
  }
}

const letters: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
  $: '$$',
}

function unescaped(text: string): string {
  return text.replace(/\\(?:([abfnrtv"\\$])|0([0-7]{1,3}))/g, (_, letter: string | undefined, octal: string) =>
    letter === undefined ? String.fromCharCode(Number.parseInt(octal, 8)) : (letters[letter] ?? letter),
  )
}

const variablePattern = /\$(?:\$|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+])([^{}]*))?\}|\{)/g

function interpolate(text: string, values: ReadonlyMap<string, string>, line: number): string {
  return text.replace(variablePattern, (found, plain?: string, braced?: string, operator = '', other = '') => {
    if (found === '$$') return '$'
    const value = choose(values.get(plain ?? braced ?? ''), operator, other)
    if (value !== undefined) return value
    const way = 'write $$ or use single quotes for a dollar sign'
    throw new EnvFileFault(line, `a $ begins what is no name that is defined above; ${way}`)
  })
}

/** `-` and `+` ask whether a name is defined, `:-` and `:+` whether it is more than empty. */
function choose(value: string | undefined, operator: string, other: string): string | undefined {
  const present = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
  if (operator.endsWith('+')) return present ? other : ''
  return operator.endsWith('-') && !present ? other : value
}
