import { Refusal } from './refusal.ts'
import { elements, type Member, members } from './splice.ts'

/** One JSON-RPC message, beside its own text, so that it can be spliced instead of written anew. */
export interface Message {
  readonly text: string
  readonly kind: 'request' | 'notification' | 'response'
  /** JSON text of the id. */
  readonly id: string | undefined
  /** Empty for a response. */
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
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

function decode(bytes: Buffer): string {
  try {
    // What is passed on is the bytes: a mark that only some parsers skip is not skipped here.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
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
  const params = readParams(text, found, value.params)
  const id = readId(text, found, value)
  if (typeof value.method === 'string')
    return { text, kind: id === undefined ? 'notification' : 'request', id, method: value.method, params }
  if (id === undefined || value.method !== undefined || !('result' in value || 'error' in value))
    throw new Refusal('not-rpc')
  return { text, kind: 'response', id, method: '', params: {} }
}

function readId(text: string, found: readonly Member[], value: Readonly<Record<string, unknown>>): string | undefined {
  const member = found.find(({ key }) => key === 'id')
  if (member === undefined) return undefined
  if (typeof value.id !== 'string' && typeof value.id !== 'number') throw new Refusal('not-rpc')
  return text.slice(member.at, member.to)
}

function readParams(text: string, found: readonly Member[], params: unknown): Readonly<Record<string, unknown>> {
  const member = found.find(({ key }) => key === 'params')
  if (member === undefined) return {}
  if (!isRecord(params)) throw new Refusal('not-rpc')
  const inner = members(text, member.at)
  refuseDoubles(inner, 'params')
  for (const { key, at } of inner)
    if (judged.has(key) && text[at] === '{') refuseDoubles(members(text, at), `params.${key}`)
  return params
}

const judged: ReadonlySet<string> = new Set(['_meta', 'ref', 'notifications'])

function refuseDoubles(found: readonly Member[], where: string): void {
  const seen = new Set<string>()
  for (const { key } of found) {
    const folded = key.normalize('NFKC').toLowerCase()
    if (seen.has(folded)) throw new Refusal('double-key', { key, where })
    seen.add(folded)
  }
}

/** The protocol version that a message claims for itself, as only the modern era does; undefined in the legacy one. */
export function claimedVersion(message: Message): unknown {
  const meta = message.params._meta
  return isRecord(meta) ? meta[versionKey] : undefined
}
