import { Refusal } from './refusal.ts'
import { elements, folded, type Member, members } from './splice.ts'

/** One JSON-RPC message, beside its own text, so that it can be spliced instead of written anew. */
export interface Message {
  readonly text: string
  readonly kind: 'request' | 'notification' | 'response'
  /** JSON text of the id. */
  readonly id: string | undefined
  /** Empty for a response. */
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  /** Where its members stand in the text, and those of its params. */
  readonly members: readonly Member[]
  readonly inner: readonly Member[]
}

export interface Body {
  readonly batch: boolean
  readonly messages: readonly Message[]
}

export const versionKey = 'io.modelcontextprotocol/protocolVersion'
const batchLimit = 100

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads a request's body; throws a `Refusal`. Two keys that some parser might take for the same are refused, so that all read alike. */
export function readBody(bytes: Buffer): Body {
  const text = decode(bytes)
  const parsed = parse(text)
  if (!Array.isArray(parsed)) return { batch: false, messages: [readMessage(text, parsed)] }
  if (parsed.length === 0 || parsed.length > batchLimit)
    throw new Refusal('batch', { why: `a batch has 1 to ${batchLimit} messages` })
  const texts = elements(text)
  return { batch: true, messages: parsed.map((value, i) => readMessage(texts[i] ?? '', value)) }
}

/** Reads one message that the gateway writes itself; throws a `Refusal`. */
export function messageOf(text: string): Message {
  return readMessage(text, parse(text))
}

/** What is passed on is the bytes: a mark that only some parsers skip is not skipped here. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Buffer): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new Refusal('parse', {}, { cause })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Refusal('parse', {}, { cause })
  }
}

function readMessage(text: string, value: unknown): Message {
  if (!isRecord(value) || value.jsonrpc !== '2.0') throw new Refusal('not-rpc')
  const found = members(text)
  refuseDoubles(found, 'the message')
  const own = { text, members: found, id: readId(text, found, value), ...readParams(text, found, value.params) }
  if (typeof value.method === 'string')
    return { ...own, kind: own.id === undefined ? 'notification' : 'request', method: value.method }
  if (own.id === undefined || value.method !== undefined || !('result' in value || 'error' in value))
    throw new Refusal('not-rpc')
  return { ...own, kind: 'response', method: '', params: {} }
}

function readId(text: string, found: readonly Member[], value: Readonly<Record<string, unknown>>): string | undefined {
  const member = found.find(({ key }) => key === 'id')
  if (member === undefined) return undefined
  if (typeof value.id !== 'string' && typeof value.id !== 'number') throw new Refusal('not-rpc')
  return text.slice(member.at, member.to)
}

function readParams(text: string, found: readonly Member[], params: unknown): Pick<Message, 'params' | 'inner'> {
  const member = found.find(({ key }) => key === 'params')
  if (member === undefined) return { params: {}, inner: [] }
  if (!isRecord(params)) throw new Refusal('not-rpc')
  const inner = members(text, member.at)
  refuseDoubles(inner, 'params')
  for (const { key, at } of inner)
    if (judged.has(key) && text[at] === '{') refuseDoubles(members(text, at), `params.${key}`)
  return { params, inner }
}

const judged: ReadonlySet<string> = new Set(['_meta', 'ref', 'notifications'])

/** So many keys are sooner compared with each other than gathered. */
const few = 8

function refuseDoubles(found: readonly Member[], where: string): void {
  const read = found.map(({ key }) => folded(key))
  if (read.length <= few ? read.every((key, at) => read.indexOf(key) === at) : new Set(read).size === read.length)
    return
  const seen = new Set<string>()
  const double = read.findIndex((key) => seen.size === seen.add(key).size)
  throw new Refusal('double-key', { key: found[double]?.key ?? '', where })
}

/** The protocol version that a message claims for itself, as only the modern era does; undefined in the legacy one. */
export function claimedVersion(message: Message): unknown {
  const meta = message.params._meta
  return isRecord(meta) ? meta[versionKey] : undefined
}
