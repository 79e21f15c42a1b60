import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDeafServer } from '../support/deaf-server.ts'
import { aboutEcho, openPlain, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let good: Upstream
const agents = { a: agentWith('a', { s: wholeGrant }) }
const echo = (path: string) =>
  rpc('tools/call', { name: path === '/mcp' ? 's__echo' : 'echo', arguments: { text: 'hi' } })
const call = (path: string) => proxy.post(path, echo(path), as('a'))
beforeEach(async () => {
  proxy = await openProxy()
  good = await openUpstream('v2')
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await good[Symbol.asyncDispose]()
})

test('calls at either endpoint are told after 15 s that their server is being replaced', async () => {
  proxy.use({ agents, servers: { s: serverAt('s', undefined) } })
  const told = { code: -32603, message: 's is being replaced, try again' }
  for (const { status, json } of await Promise.all([call('/mcp'), call('/mcp/s')]))
    expect([status, json.id, json.error]).toEqual([200, 1, told])
})

describe.each(['/mcp', '/mcp/s'])('a call at %s', (path) => {
  test('waits for a server that is being replaced', async () => {
    proxy.use({ agents, servers: { s: serverAt('s', undefined) } })
    const waiting = call(path)
    await until('the call waits', () => proxy.gateway.exchanges.size === 1)
    proxy.use({ agents, servers: { s: serverAt('s', good.origin) } })
    expect((await waiting).json.result.content[0].text).toBe('hi')
  })

  test('that could not be sent is sent once more, to what serves then', async () => {
    proxy.use({ agents, servers: { s: serverAt('s', good.origin) } })
    await call(path)
    const { generation } = serverAt('s', good.origin)
    proxy.use({ agents, servers: { s: serverAt('s', 'http://127.0.0.1:1', { generation }) } })
    const again = call(path)
    await until('the call is on its way', () => proxy.gateway.exchanges.size === 1)
    proxy.use({ agents, servers: { s: serverAt('s', good.origin, { generation }) } })
    expect((await again).json.result.content[0].text).toBe('hi')
  })

  test('that could not be sent is served when what served before comes back, however long it was away', async () => {
    await using deaf = await openDeafServer()
    const known = serverAt('s', good.origin)
    const { generation } = known
    proxy.use({ agents, servers: { s: known } })
    await call(path)
    proxy.use({ agents, servers: { s: serverAt('s', deaf.origin, { generation }) } })
    const waiting = call(path)
    await until('the call is on its way', () => proxy.gateway.exchanges.calls(generation) === 1)
    proxy.use({ agents, servers: { s: serverAt('s', undefined, { generation }) } })
    await sleep(3_500)
    proxy.use({ agents, servers: { s: known } })
    expect((await waiting).json.result.content[0].text).toBe('hi')
  })

  test('that still connects to what no longer serves goes to what serves then', async () => {
    await using deaf = await openDeafServer()
    const known = serverAt('s', good.origin)
    proxy.use({ agents, servers: { s: known } })
    await call(path)
    const { generation } = known
    proxy.use({ agents, servers: { s: serverAt('s', deaf.origin, { generation }) } })
    const waiting = call(path)
    await until('the call is on its way', () => proxy.gateway.exchanges.calls(generation) === 1)
    const began = performance.now()
    const draining = [{ generation, server: 's', upstream: deaf.origin, path: '/mcp' }]
    proxy.use({ agents, servers: { s: serverAt('s', good.origin, { generation: `s@${'b'.repeat(64)}` }) }, draining })
    expect((await waiting).json.result.content[0].text).toBe('hi')
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  test('that was sent is never sent twice', async () => {
    let calls = 0
    await using rude = await openPlain((method) => {
      if (method !== 'tools/call') return aboutEcho
      calls++
      return undefined
    })
    proxy.use({ agents, servers: { s: serverAt('s', rude.origin) } })
    const { status, json } = await call(path)
    expect([status, json.error.code, json.error.message]).toEqual([200, -32603, 's does not answer, try again later'])
    expect(calls).toBe(1)
  })

  test('that makes no progress ends in-band', async () => {
    await using slow = await openUpstream('v1-sessions')
    proxy.use({ agents, servers: { s: serverAt('s', slow.origin, { timeout: 300 }) } })
    const { json } = await proxy.post(
      path,
      rpc('tools/call', { name: path === '/mcp' ? 's__pause' : 'pause' }),
      as('a'),
    )
    expect(json).toEqual({ jsonrpc: '2.0', id: 1, error: { code: -32603, message: 's did not finish within 0.3 s' } })
  })
})

test('a stream of a generation that drains is ended, a call on it goes on, and its end is told at once', async () => {
  await using old = await openUpstream('v1-sessions')
  const both = { ...as('a'), accept: 'application/json, text/event-stream' }
  const before = serverAt('s', old.origin)
  proxy.use({ agents, servers: { s: before } })
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
  const { headers } = await proxy.post('/mcp/s', rpc('initialize', params), both)
  const session = { ...both, 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
  const stream = await fetch(`${proxy.url}/mcp/s`, { headers: { ...session, accept: 'text/event-stream' } })
  const slow = proxy.post('/mcp/s', rpc('tools/call', { name: 'pause' }), session)
  await until('the call is on its way', () => old.seen.some(({ body }) => body.includes('"pause"')))
  const draining = [{ generation: before.generation, server: 's', upstream: old.origin, path: '/mcp' }]
  proxy.use({ agents, servers: { s: serverAt('s', good.origin) }, draining })
  expect(await stream.text()).toBe('')
  expect(proxy.gateway.exchanges.calls(before.generation)).toBe(1)
  expect((await call('/mcp/s')).json.result.content[0].text).toBe('hi')
  old.release()
  expect((await slow).text).toContain('paused')
  await fetch(`${proxy.url}/mcp/s`, { method: 'DELETE', headers: session })
  expect(proxy.gateway.sessions.count(before.generation)).toBe(0)
  expect(proxy.spoken()).toBeGreaterThan(0)
})

test('a subscription is no call: it may be silent for long, outlasts its generation, and ends with its grant', async () => {
  const before = serverAt('s', good.origin, { timeout: 100 })
  proxy.use({ agents, servers: { s: before } })
  const version = '2026-07-28'
  const _meta = { 'io.modelcontextprotocol/protocolVersion': version, 'io.modelcontextprotocol/clientCapabilities': {} }
  const headers = {
    ...as('a'),
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': version,
    'mcp-method': 'subscriptions/listen',
  }
  const body = JSON.stringify(rpc('subscriptions/listen', { notifications: { toolsListChanged: true }, _meta }))
  const listening = await fetch(`${proxy.url}/mcp/s`, { method: 'POST', headers, body })
  const text = listening.text()
  await until('a call times out meanwhile', async () => {
    await using slow = await openUpstream('v1-stateless')
    proxy.use({
      agents: { a: agentWith('a', { s: wholeGrant, t: wholeGrant }) },
      servers: { s: before, t: serverAt('t', slow.origin, { timeout: 100 }) },
    })
    const { json } = await proxy.post('/mcp/t', rpc('tools/call', { name: 'pause' }), as('a'))
    return json.error.message.includes('did not finish')
  })
  expect(proxy.gateway.exchanges.size).toBe(1)
  expect(proxy.gateway.exchanges.calls(before.generation)).toBe(0)
  proxy.use({
    agents,
    servers: { s: serverAt('s', undefined) },
    draining: [{ generation: before.generation, server: 's', upstream: good.origin, path: '/mcp' }],
  })
  expect(proxy.gateway.exchanges.size).toBe(1)
  proxy.use({ agents: { a: agentWith('a', {}) }, servers: { s: before } })
  expect(await text).toMatch(/notifications\/subscriptions\/acknowledged.*"resultType":"complete"/s)
})

test('health is degraded while a server is being replaced or answers badly, and counts what there is', async () => {
  const health = async () => {
    const response = await fetch(`${proxy.url}/health`)
    return [response.status, JSON.parse(await response.text())]
  }
  expect(await health()).toEqual([503, { status: 'starting' }])
  proxy.use({ agents, servers: { s: serverAt('s', undefined) } })
  expect(await health()).toEqual([200, { status: 'degraded', agents: 1, servers: 1, revision: 1 }])
  proxy.use({ agents, servers: { s: serverAt('s', good.origin) } })
  expect(await health()).toEqual([200, { status: 'healthy', agents: 1, servers: 1, revision: 2 }])
  proxy.use({ agents, servers: { s: serverAt('s', 'http://127.0.0.1:1') } })
  await until('the bad answer is known', async () => (await health())[1].status === 'degraded')
})

test.each([
  ['not encoded well', '/mcp/%zz'],
  ['far too long', `/mcp/${'x'.repeat(2_000)}`],
  ['deeper', '/mcp/s/more'],
  ['with two slashes', '//mcp'],
])('a path that is %s is not found', async (_, path) => {
  proxy.use({ agents, servers: { s: serverAt('s', good.origin) } })
  const { status, text } = await proxy.post(path, rpc('ping'), as('a'))
  expect([status, text]).toEqual([404, '{"error":"not_found"}'])
})
