import type { IncomingHttpHeaders } from 'node:http'
import { decodeHeader, encodeHeader } from './envelope.ts'
import { isRecord } from './message.ts'
import { Refusal } from './refusal.ts'

/** An argument of a tool that a modern request repeats as a header, `Mcp-Param-*` (2026-07-28, `x-mcp-header`). */
export interface ParamHeader {
  /** Lower case, with its prefix. */
  readonly header: string
  /** Where the argument stands in `arguments`. */
  readonly path: readonly string[]
}

const prefix = 'mcp-param-'
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The arguments that a tool's input schema asks to be repeated. */
export function paramHeadersOf(schema: unknown, path: readonly string[] = []): readonly ParamHeader[] {
  if (!isRecord(schema)) return []
  const name = schema['x-mcp-header']
  const own = typeof name === 'string' && token.test(name) ? [{ header: prefix + name.toLowerCase(), path }] : []
  const properties = isRecord(schema.properties) ? Object.entries(schema.properties) : []
  return [...own, ...properties.flatMap(([key, child]) => paramHeadersOf(child, [...path, key]))]
}

const none = {} as const

/** The headers of a call with these arguments. */
export function writeParams(declared: readonly ParamHeader[], args: unknown): Readonly<Record<string, string>> {
  if (declared.length === 0) return none
  const pairs = declared.flatMap(({ header, path }) => {
    const text = primitiveText(valueAt(args, path))
    return text === undefined ? [] : [[header, encodeHeader(text)] as const]
  })
  return Object.fromEntries(pairs)
}

/** Refuses a call whose headers do not repeat its arguments. */
export function checkParams(declared: readonly ParamHeader[], args: unknown, headers: IncomingHttpHeaders): void {
  for (const { header, path } of declared) {
    const value = valueAt(args, path)
    const text = primitiveText(value)
    if (text === undefined) continue
    const said = headers[header]
    if (typeof said !== 'string') throw new Refusal('header-mismatch', { why: `${header} is missing` })
    const decoded = decodeHeader(said)
    const same =
      decoded === text ||
      (typeof value === 'number' && decoded !== undefined && decoded !== '' && Number(decoded) === value)
    if (!same) throw new Refusal('header-mismatch', { why: `${header} differs from the body` })
  }
}

function valueAt(args: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    args,
  )
}

function primitiveText(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return String(value)
  return typeof value === 'number' && (Number.isSafeInteger(value) || !Number.isInteger(value))
    ? String(value)
    : undefined
}
