export type Json = Readonly<Record<string, unknown>>

/** One JSON-RPC message, beside its own text on one line. */
export interface Message {
  readonly text: string
  readonly kind: 'request' | 'notification' | 'response'
  /** JSON text of the id; empty for a notification. */
  readonly id: string
  /** Empty for a response. */
  readonly method: string
  readonly params: Json
  readonly result: unknown
}

export const versionKey = 'io.modelcontextprotocol/protocolVersion'

export function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined for what is no JSON-RPC message: another value, or a batch. Throws for what is not JSON. */
export function readMessage(text: string): Message | undefined {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value) || value.jsonrpc !== '2.0') return undefined
  const { id, method, result } = value
  const hasId = typeof id === 'string' || typeof id === 'number'
  if (id !== undefined && !hasId && !(id === null && 'error' in value)) return undefined
  const params = isRecord(value.params) ? value.params : {}
  const rest = { text: oneLine(text), id: hasId ? JSON.stringify(id) : '', params, result }
  if (typeof method === 'string') return { ...rest, method, kind: hasId ? 'request' : 'notification' }
  if (method !== undefined || !('result' in value || 'error' in value)) return undefined
  return { ...rest, method: '', kind: 'response' }
}

/** A line break in JSON stands between its tokens: in a string it would be escaped. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}

export function metaOf({ params }: Message): Json {
  return isRecord(params._meta) ? params._meta : {}
}

/** JSON text of the token that a request wants to be told of its progress by, or that a notification tells it by. */
export function progressToken(message: Message): string | undefined {
  const { progressToken: token } = message.method === 'notifications/progress' ? message.params : metaOf(message)
  return token === undefined ? undefined : JSON.stringify(token)
}

/** `id` is JSON text. */
export function errorText(id: string, code: number, message: string, data?: unknown): string {
  return `{"jsonrpc":"2.0","id":${id === '' ? 'null' : id},"error":${JSON.stringify({ code, message, data })}}`
}

interface Source {
  readonly source?: string
}

declare global {
  interface JSON {
    /** ES2026; numbers keep the digits that they were written with. */
    rawJSON(text: string): unknown
    parse(text: string, reviver: (key: string, value: unknown, context: Source) => unknown): unknown
  }
}

/** The same message with other members, at any depth: `change` gives what stands at a path instead, or the value itself. */
export function rewrite(text: string, change: (message: Record<string, unknown>) => void): string {
  const exact = (_: string, value: unknown, { source }: Source) =>
    typeof value === 'number' && source !== undefined ? JSON.rawJSON(source) : value
  const message = JSON.parse(text, exact)
  if (isMutable(message)) change(message)
  return JSON.stringify(message)
}

export function isMutable(value: unknown): value is Record<string, unknown> {
  return isRecord(value)
}
