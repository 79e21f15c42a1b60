import { hash, randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createStateIds } from '../../proxy/state-id.ts'
import { leaksIn } from '../support/leaks.ts'
import { everyClient } from '../support/mcp-clients.ts'
import { openListener, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const agents = {
  a: agentWith('a', { s: wholeGrant, t: wholeGrant }),
  b: agentWith('b', { s: wholeGrant, t: wholeGrant }),
}
const both = { accept: 'application/json, text/event-stream' }
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
let proxy: OpenProxy
let wrapper: Upstream
beforeEach(async () => {
  proxy = await openProxy()
  wrapper = await openWrapper()
  proxy.use({
    agents,
    servers: { s: serverAt('s', wrapper.origin), t: serverAt('t', wrapper.origin, { path: '/other' }) },
  })
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await wrapper[Symbol.asyncDispose]()
})

/** Plain JSON, no session of the protocol; counts calls by `X-Session-ID`. */
function openWrapper(): Promise<Upstream> {
  const counts = new Map<string, number>()
  return openListener(async (incoming, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await incoming.toArray()).toString() || '{}')
    const state = incoming.headers['x-session-id']
    const say = (said: object) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id, ...said }))
    if (typeof state !== 'string') return response.writeHead(400).end()
    if (method === 'initialize')
      return say({ result: { ...params, capabilities: { tools: {} }, serverInfo: params.clientInfo } })
    if (method === 'tools/list') return say({ result: { tools: [{ name: 'count', inputSchema: { type: 'object' } }] } })
    if (method !== 'tools/call') return say({ error: { code: -32601, message: 'Method not found' } })
    const count = (counts.get(state) ?? 0) + 1
    counts.set(state, count)
    return say({ result: { content: [{ type: 'text', text: String(count) }] } })
  })
}

const states = () => new Set(wrapper.seen.map(({ headers }) => headers['x-session-id']))

async function count(path: string, agent: string, headers: Record<string, string> = {}): Promise<string> {
  const name = path === '/mcp' ? 's__count' : 'count'
  const { json } = await proxy.post(path, rpc('tools/call', { name }), { ...as(agent), ...headers })
  return json.result.content[0].text
}

async function begin(agent: string): Promise<Record<string, string>> {
  const { headers } = await proxy.post('/mcp', rpc('initialize', params), { ...as(agent), ...both })
  return { ...both, 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
}

describe('a server that keeps state by X-Session-ID', () => {
  test('finds each agent’s own again, at both endpoints', async () => {
    expect(await count('/mcp', 'a')).toBe('1')
    expect(await count('/mcp', 'b')).toBe('1')
    expect(await count('/mcp/s', 'a')).toBe('2')
    expect(await count('/mcp', 'a')).toBe('3')
    expect(await count('/mcp/s', 'b')).toBe('2')
  })

  test('finds each session’s own', async () => {
    const [one, other] = [await begin('a'), await begin('a')]
    expect(await count('/mcp', 'a', one)).toBe('1')
    expect(await count('/mcp', 'a', other)).toBe('1')
    expect(await count('/mcp', 'a', one)).toBe('2')
    expect(await count('/mcp', 'a')).toBe('1')
  })

  test('never lets an agent choose', async () => {
    await count('/mcp/s', 'a')
    const [own = ''] = wrapper.seen.flatMap(({ body, headers }) =>
      body.includes('tools/call') ? [headers['x-session-id']] : [],
    )
    expect(await count('/mcp/s', 'b', { 'x-session-id': String(own) })).toBe('1')
    expect(await count('/mcp', 'b', { 'x-session-id': String(own) })).toBe('2')
  })

  test('sees of each of them another value than its neighbour, and nothing of a token in any', async () => {
    await count('/mcp/s', 'a')
    await count('/mcp/t', 'a')
    const calls = wrapper.seen.filter(({ body }) => body.includes('tools/call'))
    expect(new Set(calls.map(({ headers }) => headers['x-session-id'])).size).toBe(2)
    const text = [...states()].join('\n')
    const { a = '', digest = '' } = { a: tokenOf('a'), digest: hash('sha256', tokenOf('a')) }
    expect(leaksIn('', text, { a, digest })).toEqual([])
  })

  test('tells its probes by one value, which is no agent’s', async () => {
    const { generation } = serverAt('s', wrapper.origin)
    await until('it is probed', () => proxy.gateway.probes.probe(generation)?.ok)
    const probes = wrapper.seen.filter(({ url, body }) => url === '/mcp' && !body.includes('server/discover'))
    const values = new Set(probes.map(({ headers }) => headers['x-session-id']))
    expect([...values]).toEqual([expect.stringMatching(/^[\w-]{43}$/)])
    await count('/mcp', 'a')
    const call = wrapper.seen.find(({ body }) => body.includes('tools/call'))
    expect(values).not.toContain(call?.headers['x-session-id'])
  })
})

test.each(['v1-sessions', 'v2'] as const)(
  'a server that keeps sessions of the protocol, or needs none, is sent none within them: %s',
  async (kind) => {
    await using upstream = await openUpstream(kind)
    proxy.use({ agents, servers: { s: serverAt('s', upstream.origin) } })
    for (const connect of Object.values(everyClient)) {
      const client = await connect(`${proxy.url}/mcp`, as('a'))
      expect(await client.callTool('s__echo', { text: 'hi' })).toMatchObject({ text: 'hi' })
      await client.close()
    }
    const calls = upstream.seen.filter(({ body }) => body.includes('tools/call'))
    expect(calls.length).toBeGreaterThan(0)
    expect(calls.flatMap(({ headers }) => headers['x-session-id'] ?? [])).toEqual([])
  },
)

test('the value is the same wherever the key is, and for nobody else', () => {
  const key = randomBytes(32)
  const value = createStateIds(key)('s', { agent: 'a', session: 'x' })
  expect(createStateIds(Buffer.from(key))('s', { agent: 'a', session: 'x' })).toBe(value)
  const others = [
    createStateIds(key)('s', { agent: 'a' }),
    createStateIds(key)('s', { agent: 'b', session: 'x' }),
    createStateIds(key)('t', { agent: 'a', session: 'x' }),
    createStateIds(key)('s', { agent: 'a","x' }),
    createStateIds(randomBytes(32))('s', { agent: 'a', session: 'x' }),
  ]
  expect(new Set([value, ...others]).size).toBe(6)
})
