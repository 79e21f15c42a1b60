import type { IncomingHttpHeaders } from 'node:http'
import type { Session } from './session.ts'
import { stateHeader } from './state-id.ts'
import type { Head } from './transfer.ts'

const passed: ReadonlySet<string> = new Set([
  'mcp-protocol-version',
  'mcp-method',
  'mcp-name',
  'traceparent',
  'tracestate',
  'baggage',
])
const param = 'mcp-param-'

/** What of a client's headers an upstream may see: a list of what passes, so that credentials, cookies and hops never do. */
export function upstreamHeaders(
  headers: IncomingHttpHeaders,
  from: { readonly session: Session } | { readonly stateId: string | undefined },
): Readonly<Record<string, string>> {
  const kept = pick(headers, (name) => passed.has(name) || name.startsWith(param))
  kept.accept = 'application/json, text/event-stream'
  kept['content-type'] = 'application/json'
  if ('session' in from) kept['mcp-session-id'] = from.session.place.upstreamId
  else if (from.stateId !== undefined) kept[stateHeader] = from.stateId
  return kept
}

/** Headers of a session's stream or its end. */
export function sessionHeaders(headers: IncomingHttpHeaders, session: Session): Readonly<Record<string, string>> {
  const kept = pick(headers, (name) => name === 'last-event-id' || name === 'mcp-protocol-version')
  return { ...kept, accept: 'text/event-stream', 'mcp-session-id': session.place.upstreamId }
}

function pick(headers: IncomingHttpHeaders, wanted: (name: string) => boolean): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === 'string' && wanted(name)) kept[name] = value
  }
  return kept
}

/** Headers of an answer that passes as it is: rebuilt, so that nothing of the upstream's own gets through. */
export function clientHeaders(head: Head): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const { type } = head
  const length = head.header('content-length')
  if (type !== '') headers['content-type'] = type
  if (length !== undefined) headers['content-length'] = length
  return headers
}
