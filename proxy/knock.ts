import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { Refusal } from './refusal.ts'

const allowed = {
  'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
  'access-control-max-age': '600',
} as const

/**
 * Refuses names that are not ours, as DNS rebinding needs one: the Host, and the Origin where there is one, must be
 * localhost, an IP address or the host name of GATEWAY_URL.
 */
export function knock(request: IncomingMessage, response: ServerResponse, url: URL | undefined): void {
  const { host, origin } = request.headers
  if (host !== undefined && !isOurs(nameIn(host), url)) throw new Refusal('host', { host })
  if (origin === undefined) return
  if (!isOurs(URL.parse(origin)?.hostname, url)) throw new Refusal('origin', { origin })
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-expose-headers', 'Mcp-Session-Id, WWW-Authenticate')
  response.setHeader('vary', 'Origin')
}

const headers =
  'Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID'
const param = /^mcp-param-[\w-]+$/i

/** Answers a browser that asks before it sends; which `Mcp-Param-*` there are depends on the tool. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse): void {
  const asked = String(request.headers['access-control-request-headers'] ?? '').split(',')
  const params = asked.map((name) => name.trim()).filter((name) => param.test(name))
  response.writeHead(204, { ...allowed, 'access-control-allow-headers': [headers, ...params].join(', ') }).end()
}

const hostPattern = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/

/** The name in a Host header, as a URL has it. */
function nameIn(host: string): string | undefined {
  return hostPattern.exec(host)?.[1]?.toLowerCase()
}

function isOurs(name: string | undefined, url: URL | undefined): boolean {
  if (name === undefined) return false
  return name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) > 0 || name === url?.hostname
}
