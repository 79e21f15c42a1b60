import { type Answered, as, type OpenProxy, rpc } from './proxy.ts'

export const modernVersion = '2026-07-28'

/** What each request of the newer era says of its client. */
export const envelope = (capabilities: object = {}) => ({
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientCapabilities': capabilities,
})

export interface ModernRequest {
  /** Default: /mcp. */
  readonly path?: string
  readonly method: string
  readonly params?: Readonly<Record<string, unknown>>
  /** Default: the agent a. */
  readonly agent?: string
  readonly id?: string | number
  readonly capabilities?: object
}

/** The headers that repeat what a request of the newer era says. */
export function modernHeaders({ method, params = {}, agent = 'a' }: ModernRequest): Record<string, string> {
  const name = params.name ?? params.uri
  return {
    ...as(agent),
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': modernVersion,
    'mcp-method': method,
    ...(typeof name === 'string' && { 'mcp-name': name }),
  }
}

export function modernBody({ method, params, id, capabilities }: ModernRequest) {
  return rpc(method, { ...params, _meta: envelope(capabilities) }, id)
}

/** Sends a request of the newer era as its clients do. */
export function postModern({ post }: Pick<OpenProxy, 'post'>, request: ModernRequest): Promise<Answered> {
  return post(request.path ?? '/mcp', modernBody(request), modernHeaders(request))
}
