import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openListener, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const agents = { a: agentWith('a', { s: wholeGrant, t: { ...wholeGrant, tools: ['echo'] } }) }
let proxy: OpenProxy
let upstream: Upstream
beforeEach(async () => {
  proxy = await openProxy()
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

type Act = (response: ServerResponse, id: unknown, incoming: IncomingMessage) => void

/** A plain server that answers calls in its own way, and all else well. */
async function open(call: Act, all?: Act): Promise<void> {
  upstream = await openListener(async (incoming, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await incoming.toArray()).toString() || '{}')
    if (all !== undefined) return all(response, id, incoming)
    if (id === undefined) return response.writeHead(202).end()
    if (method === 'tools/call') return call(response, id, incoming)
    const results: Record<string, object> = {
      initialize: {
        protocolVersion: '2025-11-25',
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '1' },
      },
      'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
    }
    const error = { code: -32601, message: 'Method not found' }
    const said = results[method] === undefined ? { error } : { result: results[method] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...said }))
  })
  proxy.use({ agents, servers: { s: serverAt('s', upstream.origin), t: serverAt('t', upstream.origin) } })
}

const answer = (id: unknown) =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'hi' }] } })
const page =
  (status: number, type: string, body = '<html>private words</html>'): Act =>
  (response) =>
    void response.writeHead(status, type === '' ? {} : { 'content-type': type }).end(body)

const faults: Readonly<Record<string, readonly [Act, string]>> = {
  'a page for people': [page(200, 'text/html; charset=utf-8'), 'HTTP 200 text/html'],
  'a page of an error': [page(502, 'text/html'), 'HTTP 502 text/html'],
  'plain text': [page(200, 'text/plain', 'private words'), 'HTTP 200 text/plain'],
  'an error in plain text': [page(404, 'text/plain', 'private words'), 'HTTP 404 text/plain'],
  'an error that is not the protocol’s': [
    page(404, 'application/json', '{"detail":"private words"}'),
    'HTTP 404 application/json',
  ],
  'another fault': [page(500, 'application/json', '{"error":"private words"}'), 'HTTP 500 application/json'],
  'a redirect': [
    (response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/private' }).end(),
    'HTTP 302, a redirect, which is not followed',
  ],
  'nothing new': [page(304, ''), 'HTTP 304'],
  'a compressed body': [
    (response, id) =>
      void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(answer(id))),
    'Content-Encoding: gzip',
  ],
  'a compressed stream': [
    (response, id) =>
      void response
        .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'br' })
        .end(gzipSync(`data: ${answer(id)}\n\n`)),
    'Content-Encoding: br',
  ],
  'a stream without an answer': [page(200, 'text/event-stream', ': hello\n\n'), 'its stream ended without an answer'],
  'a stream of something else': [page(200, 'text/event-stream', 'data: private words\n\n'), 'what is not JSON'],
}

describe.each(Object.entries(faults))('%s in place of an answer', (_, [fault, why]) => {
  test.each([
    ['/mcp', 's__echo'],
    ['/mcp/s', 'echo'],
    ['/mcp', 't__echo'],
    ['/mcp/t', 'echo'],
  ])('at %s is named in-band for %s, and what it says stays with the gateway', async (path, name) => {
    await open(fault)
    const { status, json, text } = await proxy.post(path, rpc('tools/call', { name }), as('a'))
    const server = name.startsWith('t') || path.endsWith('t') ? 't' : 's'
    expect([status, json]).toEqual([
      200,
      { jsonrpc: '2.0', id: 1, error: { code: -32603, message: `${server} gave an answer that is not MCP (${why})` } },
    ])
    expect(text).not.toContain('private')
    expect(JSON.stringify(proxy.lines)).not.toContain('private')
  })
})

test.each(['/mcp', '/mcp/t'])('at %s what says that it is JSON and is not is named', async (path) => {
  await open(page(200, 'application/json', '{"private words'))
  const { status, json } = await proxy.post(
    path,
    rpc('tools/call', { name: path === '/mcp' ? 's__echo' : 'echo' }),
    as('a'),
  )
  expect([status, json.error.message]).toEqual([
    200,
    expect.stringMatching(/^[st] gave an answer that is not MCP \(what is not JSON\)$/),
  ])
  expect(JSON.stringify(proxy.lines)).not.toContain('private')
})

test.each(['/mcp', '/mcp/s', '/mcp/t'])(
  'at %s an answer of JSON that does not say what it is is taken',
  async (path) => {
    await open((response, id) => void response.writeHead(200).end(answer(id)))
    const name = path === '/mcp' ? 's__echo' : 'echo'
    const { text } = await proxy.post(path, rpc('tools/call', { name }), as('a'))
    expect(JSON.parse(text).result.content[0].text).toBe('hi')
  },
)

const endless: Act = (response, id) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(`: \n\ndata: ${answer(id)}\n\n`)
}

test.each(['/mcp', '/mcp/s', '/mcp/t'])(
  'at %s a stream that never ends is left once it has the answer',
  async (path) => {
    let left = false
    await open((response, id) => {
      endless(response, id, response.req)
      response.once('close', () => {
        left = true
      })
    })
    const name = path === '/mcp' ? 's__echo' : 'echo'
    const { json } = await proxy.post(path, rpc('tools/call', { name }), as('a'))
    expect(json.result.content[0].text).toBe('hi')
    await until('it is left', () => left)
    await until('the call is over', () => proxy.gateway.exchanges.size === 0)
    expect(proxy.gateway.counters.errors).toBe(0)
  },
)

test('a server whose streams never end is found to be well, and is called', async () => {
  const results: Record<string, object> = {
    initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } },
    'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: 'hi' }] },
  }
  upstream = await openListener(async (incoming, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await incoming.toArray()).toString() || '{}')
    if (id === undefined) return response.writeHead(202).end()
    if (results[method] === undefined) return response.writeHead(400).end()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: results[method] })}\n\n`)
  })
  const starting = [{ generation: 's@1', server: 's', upstream: upstream.origin, path: '/mcp' }]
  proxy.use({ agents, servers: { s: serverAt('s', upstream.origin) }, starting })
  await until('it is ready', () => proxy.gateway.probes.probe('s@1')?.good === 3)
  const { json } = await proxy.post('/mcp', rpc('tools/call', { name: 's__echo' }), as('a'))
  expect(json.result.content[0].text).toBe('hi')
})

test.each([
  ['a page', page(200, 'text/html'), 'initialize answered HTTP 200 text/html'],
  ['a redirect', faults['a redirect']?.[0], 'initialize answered HTTP 302, a redirect, which is not followed'],
  ['a compressed body', faults['a compressed body']?.[0], 'initialize answered Content-Encoding: gzip'],
])('a server that answers with %s is told so by its probe', async (_, act, words) => {
  await open(() => undefined, act)
  const { generation } = serverAt('s', upstream.origin)
  await until('its probe is bad', () => proxy.gateway.probes.probe(generation)?.ok === false)
  expect(proxy.gateway.probes.probe(generation)?.error).toBe(words)
})

test('no body is asked to be compressed', async () => {
  await open((response, id) => void response.writeHead(200, { 'content-type': 'application/json' }).end(answer(id)))
  await proxy.post('/mcp/s', rpc('tools/call', { name: 'echo' }), { ...as('a'), 'accept-encoding': 'gzip, br' })
  expect(new Set(upstream.seen.map(({ headers }) => headers['accept-encoding']))).toEqual(new Set(['identity']))
})
