import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { quote } from '#manifests/text.ts'
import type { ManifestFault } from '../desired.ts'
import { decode } from './encoding.ts'
import { faultOfFile, type Manifest, type Path, printPath, type Step } from './manifest.ts'

export interface Reading {
  /** Absent after a syntax error, which hides all else in the file. */
  readonly manifest?: Manifest
  readonly faults: readonly ManifestFault[]
}

/** What of a file is read otherwise than the rest; each default none. */
export interface ReadOptions {
  /** Paths whose numbers and truth values are kept as they are written. */
  readonly verbatim?: (path: Path) => boolean
  /** Paths whose text may hold `${…}`, which means something to another program. */
  readonly dollars?: (path: Path) => boolean
  /** Paths whose last step may be any text, because it was not chosen by who wrote the file. */
  readonly names?: (path: Path) => boolean
}

const deepest = 64
const mostValues = 50_000
const mostAliased = 10_000
/** Of the lexer, which gives eight for a line of a mapping; a parser would take them one by one, whatever they are. */
const mostTokens = 8 * mostValues
const coreTags = /^tag:yaml\.org,2002:(?:map|seq|str|int|float|bool|null)$/

/** Parses one YAML 1.2 document. Never throws for what is in it. */
export function readYaml(file: string, body: Buffer, options: ReadOptions): Reading {
  const decoded = decode(file, body)
  if (!decoded.ok) return { faults: [decoded.fault] }
  if (hasManyTokens(decoded.text)) return { faults: [faultOfFile(file, `more than ${mostTokens} words and signs`)] }
  const lines = new LineCounter()
  const document = parse(decoded.text, lines)
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const broken = document.errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION') ?? document.errors[0]
  if (broken) return { faults: [{ ...place(offsetOf(broken)), at: '', message: syntaxMessage(broken) }] }
  const walk = new Walk(options)
  const value = walk.start(document.contents)
  const faults = walk.found.map(({ offset, path, message }) => ({ ...place(offset), at: printPath(path), message }))
  if (walk.stopped) return { faults }
  const fault: Manifest['fault'] = (path, message, on = 'value') => ({
    ...place(walk.locate(document.contents, path, on)),
    at: printPath(path),
    message,
  })
  return { manifest: { file, value: value ?? {}, fault }, faults }
}

function hasManyTokens(text: string): boolean {
  return new Lexer().lex(text).drop(mostTokens).next().done !== true
}

/** Nobody reads the stacks of its errors, and to make them takes most of the time where there are many. */
function parse(text: string, lineCounter: LineCounter) {
  const usual = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return parseDocument(text, { lineCounter, schema: 'core', uniqueKeys: false, prettyErrors: false })
  } finally {
    Error.stackTraceLimit = usual
  }
}

/** Where the parser has had enough depends on how deep it was called, and must not differ between a check and a commit. */
function offsetOf({ code, pos }: { readonly code: string; readonly pos: readonly [number, number] }): number {
  return code === 'RESOURCE_EXHAUSTION' ? 0 : pos[0]
}

function syntaxMessage({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === 'RESOURCE_EXHAUSTION') return `nested deeper than ${deepest} levels`
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here: one a file'
  if (code === 'TAB_AS_INDENT') return 'a tab cannot indent YAML: use spaces'
  if (code === 'BLOCK_AS_IMPLICIT_KEY')
    return 'a second ": " on one line: put text that contains it in quotes, or check the indentation'
  if (code === 'MISSING_CHAR') return `not YAML: ${message.toLowerCase().replace('"quote', 'quote')}`
  return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1, 200)}`
}

type Found = { readonly offset: number; readonly path: Path; readonly message: string }
type Content = ParsedNode | null

class Walk {
  readonly found: Found[] = []
  stopped = false
  readonly #options: ReadOptions
  readonly #anchors = new Map<string, ParsedNode>()
  readonly #within = new Set<Content>()
  #values = 0
  #aliased = 0
  #outermost: { readonly node: Alias.Parsed; readonly path: Path } | undefined

  constructor(options: ReadOptions) {
    this.#options = options
  }

  start(root: Content): unknown {
    return this.#plain(root, [], false)
  }

  #plain(node: Content, path: Path, aliased: boolean): unknown {
    if (this.stopped || node === null) return null
    if (++this.#values > mostValues)
      return this.#stop(node, path.slice(0, 1), `more than ${mostValues} values in a file`)
    if (aliased && ++this.#aliased > mostAliased) return this.#explode()
    if (path.length > deepest) return this.#stop(node, path.slice(0, 3), `nested deeper than ${deepest} levels`)
    if (isAlias(node)) return this.#follow(node, path, aliased)
    if (node.anchor !== undefined && !aliased) this.#anchors.set(node.anchor, node)
    if (node.tag !== undefined && !coreTags.test(node.tag))
      this.#note(node, path, `tags have no meaning here, found ${quote(node.tag)}`)
    this.#within.add(node)
    const value = this.#content(node, path, aliased)
    this.#within.delete(node)
    return value
  }

  #content(node: Exclude<ParsedNode, Alias>, path: Path, aliased: boolean): unknown {
    if (isMap(node)) return this.#mapping(node, path, aliased)
    if (isSeq(node)) return node.items.map((item, index) => this.#plain(item, [...path, index], aliased))
    const { value, source } = node
    if (typeof value === 'string') {
      if (value.includes('\0')) this.#note(node, path, 'a NUL cannot be part of a value')
      if (value.includes('${') && this.#options.dollars?.(path) !== true)
        this.#note(node, path, '"${…}" is not filled in here: write the value, or name a secret under "secrets"')
      return value
    }
    return value !== null && this.#options.verbatim?.(path) === true ? source : value
  }

  #mapping(node: YAMLMap.Parsed, path: Path, aliased: boolean): unknown {
    const values = new Map<string, unknown>()
    for (const { key, value } of node.items) {
      const name = keyText(key)
      const inner = [...path, name ?? '?']
      const isFree = this.#options.names?.(inner) === true
      const wrong = name === undefined ? 'a key is one word or text' : wrongKey(name, values, isFree)
      if (wrong !== undefined) this.#note(key, inner, wrong)
      if (wrong === undefined && name !== undefined) values.set(name, this.#plain(value, inner, aliased))
      if (this.stopped) break
    }
    return Object.fromEntries(values)
  }

  #follow(alias: Alias.Parsed, path: Path, aliased: boolean): unknown {
    if (!aliased) this.#outermost = { node: alias, path }
    const target = this.#anchors.get(alias.source)
    if (target === undefined) return this.#note(alias, path, `no anchor &${alias.source} stands before this alias`)
    if (this.#within.has(target)) return this.#stop(alias, path, `the anchor &${alias.source} contains itself`)
    return this.#plain(target, path, true)
  }

  #explode(): null {
    if (this.#outermost === undefined) return null
    const { node, path } = this.#outermost
    return this.#stop(node, path, `aliases that expand to more than ${mostAliased} values`)
  }

  #note(node: Exclude<Content, null>, path: Path, message: string): null {
    this.found.push({ offset: node.range[0], path, message })
    return null
  }

  #stop(node: Exclude<Content, null>, path: Path, message: string): null {
    this.stopped = true
    return this.#note(node, path, message)
  }

  /** Offset of a path's value or key, or of the last step of it that exists. */
  locate(root: Content, path: Path, on: 'key' | 'value'): number {
    let node = this.#resolve(root)
    let offset = node?.range[0] ?? 0
    for (const [index, step] of path.entries()) {
      const next = stepInto(node, step)
      if (next === undefined) return offset
      node = this.#resolve(next.value)
      const atKey = next.key !== null && (on === 'key' || index < path.length - 1 || isNothing(node))
      offset = (atKey ? next.key : node)?.range[0] ?? offset
    }
    return offset
  }

  #resolve(node: Content): Content {
    return isAlias(node) ? (this.#anchors.get(node.source) ?? null) : node
  }
}

type Pairs = ReadonlyMap<string, { readonly key: Content; readonly value: Content }>

/** A file may have a hundred thousand keys, and a fault at each. */
const indexes = new WeakMap<YAMLMap.Parsed, Pairs>()

function pairsOf(map: YAMLMap.Parsed): Pairs {
  const known = indexes.get(map)
  if (known !== undefined) return known
  const pairs = new Map(map.items.toReversed().map(({ key, value }) => [keyText(key) ?? '', { key, value }]))
  indexes.set(map, pairs)
  return pairs
}

function stepInto(node: Content, step: Step): { readonly key: Content; readonly value: Content } | undefined {
  if (isMap(node)) return pairsOf(node).get(String(step))
  if (!isSeq(node) || typeof step !== 'number') return
  const value = node.items[step]
  return value === undefined ? undefined : { key: null, value }
}

function isNothing(node: Content): boolean {
  return node === null || (isScalar(node) && node.value === null)
}

function keyText(key: Content): string | undefined {
  if (!isScalar(key)) return
  return typeof key.value === 'string' ? key.value : key.source
}

function wrongKey(name: string, taken: ReadonlyMap<string, unknown>, isFree: boolean): string | undefined {
  if (taken.has(name)) return 'this key is here twice'
  if (isFree) return
  if (name === '<<') return 'merge keys are not YAML 1.2: write the keys themselves'
  if (name in Object.prototype) return `${quote(name)} cannot be a key in a manifest`
  if (name.includes('\0')) return 'a NUL cannot be part of a key'
}
