import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream, type UpstreamKind } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'

const kinds: readonly UpstreamKind[] = ['v1-sessions', 'v1-stateless', 'v2', 'v2-strict']

describe.each(kinds)('curl without initialize or Accept, in front of %s', (kind) => {
  let upstream: Upstream
  let proxy: OpenProxy
  beforeAll(async () => {
    upstream = await openUpstream(kind)
    proxy = await openProxy()
    proxy.use({
      agents: { a: agentWith('a', { s: wholeGrant }) },
      servers: { s: serverAt('s', upstream.origin) },
    })
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  test.each(['/mcp', '/mcp/'])('lists the tools of all servers at %s', async (path) => {
    const { status, json, headers } = await proxy.post(path, rpc('tools/list'), { ...as('a'), accept: '*/*' })
    expect(status).toBe(200)
    expect(headers.get('mcp-session-id')).toBeNull()
    expect(json.result.tools.map((tool: { name: string }) => tool.name)).toContain('s__echo')
  })

  test.each(['/mcp/s', '/mcp/s/'])('lists the tools of one server at %s', async (path) => {
    const { status, json } = await proxy.post(
      path,
      { jsonrpc: '2.0', id: 'x', method: 'tools/list' },
      { ...as('a'), accept: '*/*' },
    )
    expect(status).toBe(200)
    expect(json.id).toBe('x')
    expect(json.result.tools.map((tool: { name: string }) => tool.name)).toContain('echo')
  })

  test.each([
    ['/mcp', 's__echo'],
    ['/mcp/s', 'echo'],
  ])('calls a tool at %s', async (path, name) => {
    const { status, json } = await proxy.post(path, rpc('tools/call', { name, arguments: { text: 'hallo' } }), as('a'))
    expect([status, json]).toEqual([
      200,
      { jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'hallo' }] } },
    ])
  })

  test('answers a batch with an array', async () => {
    const { json } = await proxy.post(
      '/mcp',
      [rpc('ping', {}, 1), rpc('tools/call', { name: 's__echo', arguments: { text: 'x' } }, 2)],
      as('a'),
    )
    expect(json.map((one: { id: number }) => one.id)).toEqual([1, 2])
  })

  test('leaves no session behind but the one that the proxy keeps', () => {
    expect(upstream.sessions).toBeLessThanOrEqual(1)
  })
})
