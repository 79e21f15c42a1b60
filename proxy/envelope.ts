import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { stateHeader } from './state-id.ts'

const About = z.object({ name: z.string(), version: z.string() })

/** How the gateway names itself to both sides. */
export const self = About.parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')))

export const modernVersion = '2026-07-28'
/** Newest first. */
export const legacyVersions: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07']
export const newestLegacy = '2025-11-25'

export const metaKeys = {
  version: 'io.modelcontextprotocol/protocolVersion',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  client: 'io.modelcontextprotocol/clientInfo',
  level: 'io.modelcontextprotocol/logLevel',
  server: 'io.modelcontextprotocol/serverInfo',
} as const

/** The envelope of a request that the gateway makes for itself, or for a client that has none. It offers no capability. */
export const ownEnvelope = {
  [metaKeys.version]: modernVersion,
  [metaKeys.capabilities]: {},
  [metaKeys.client]: self,
} as const

/** Who looks at a server for the gateway itself says so: one that starts a program for each client keeps some beside theirs. */
export const probing = { 'user-agent': 'commons-gateway-probe' } as const

const accept = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' } as const

/** Headers of a modern request; `name` is what `Mcp-Name` must say, if the method has one. */
export function modernHeaders(method: string, name?: string): Readonly<Record<string, string>> {
  const headers = { ...accept, 'mcp-protocol-version': modernVersion, 'mcp-method': method }
  return name === undefined ? headers : { ...headers, 'mcp-name': encodeHeader(name) }
}

interface Legacy {
  /** The session that the upstream gave out; undefined before, and where it gives out none. */
  readonly id?: string | undefined
  /** As negotiated; undefined before. */
  readonly version?: string
  /** What an upstream without sessions tells its callers apart by. */
  readonly stateId: string
}

/** Headers of a legacy request. */
export function legacyHeaders({ id, version, stateId }: Legacy): Readonly<Record<string, string>> {
  const headers = version === undefined ? accept : { ...accept, 'mcp-protocol-version': version }
  return id === undefined ? { ...headers, [stateHeader]: stateId } : { ...headers, 'mcp-session-id': id }
}

const sentinel = /^=\?base64\?(.*)\?=$/s
const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/** A header's value as 2026-07-28 writes it: as it is where HTTP can carry it, else base64. */
export function encodeHeader(value: string): string {
  if (plain.test(value) && !sentinel.test(value)) return value
  return `=?base64?${Buffer.from(value).toString('base64')}?=`
}

/** The value that a header stands for; undefined if its encoding is not exact. */
export function decodeHeader(header: string): string | undefined {
  const trimmed = header.replace(/^[ \t]+|[ \t]+$/g, '')
  const encoded = sentinel.exec(trimmed)?.[1]
  if (encoded === undefined) return trimmed
  const bytes = Buffer.from(encoded, 'base64')
  return bytes.toString('base64') === encoded && Buffer.from(bytes.toString()).equals(bytes)
    ? bytes.toString()
    : undefined
}
