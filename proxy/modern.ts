import type { IncomingHttpHeaders } from 'node:http'
import { decodeHeader, metaKeys, modernVersion } from './envelope.ts'
import { type Body, claimedVersion, isRecord, type Message } from './message.ts'
import { Refusal } from './refusal.ts'

/**
 * The era of a request, told by its body: only a modern one says its version there. Throws a `Refusal` for one that claims to be modern
 * but does not keep to it (2026-07-28, basic/transports and basic/versioning).
 */
export function eraOf(body: Body, headers: IncomingHttpHeaders): 'modern' | 'legacy' {
  const claims = body.messages.some((message) => claimedVersion(message) !== undefined)
  const [message] = body.messages
  const header = textOf(headers['mcp-protocol-version'])
  if (claims && body.batch) throw new Refusal('batch', { why: `${modernVersion} has no batches` })
  if (!claims && header === modernVersion && message?.kind === 'request') refuseUnclaimed(message)
  return claims ? 'modern' : 'legacy'
}

function refuseUnclaimed({ method }: Message): never {
  if (method === 'initialize')
    throw new Refusal('header-mismatch', { why: `initialize does not belong to ${modernVersion}` })
  throw new Refusal('envelope', { why: `params._meta["${metaKeys.version}"] is required` })
}

/** Checks the envelope and the standard headers of a modern request against its body; throws a `Refusal`. */
export function checkModern(message: Message, headers: IncomingHttpHeaders): void {
  const claimed = claimedVersion(message)
  const header = textOf(headers['mcp-protocol-version'])
  const meta = message.params._meta
  if (header === undefined) throw new Refusal('header-mismatch', { why: 'MCP-Protocol-Version is missing' })
  if (typeof claimed !== 'string' || !isRecord(meta) || !isRecord(meta[metaKeys.capabilities]))
    throw new Refusal('envelope', {
      why: `params._meta needs "${metaKeys.version}" (a string) and "${metaKeys.capabilities}" (an object)`,
    })
  if (claimed !== header)
    throw new Refusal('header-mismatch', { why: 'MCP-Protocol-Version differs from params._meta' })
  if (claimed !== modernVersion)
    throw new Refusal('version', { requested: claimed }, { data: { supported: [modernVersion], requested: claimed } })
  checkNames(message, headers, 'required')
}

const named: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }

/** Checks that `Mcp-Method` and `Mcp-Name` say what the body says, so that nobody behind can be told something else. */
export function checkNames(message: Message, headers: IncomingHttpHeaders, presence: 'required' | 'optional'): void {
  const key = named[message.method]
  const name = key === undefined ? undefined : message.params[key]
  compare('Mcp-Method', textOf(headers['mcp-method']), message.method, presence)
  if (typeof name === 'string') compare('Mcp-Name', textOf(headers['mcp-name']), name, presence)
}

function compare(what: string, header: string | undefined, body: string, presence: 'required' | 'optional'): void {
  if (header === undefined && presence === 'optional') return
  if (header === undefined) throw new Refusal('header-mismatch', { why: `${what} is missing` })
  if (decodeHeader(header) !== body) throw new Refusal('header-mismatch', { why: `${what} differs from the body` })
}

export function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header?.trim()
}
