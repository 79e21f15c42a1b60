import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Guarded, guardWords, openGuarded } from '../support/guarded.ts'
import { leaksIn, randomToken } from '../support/leaks.ts'
import { connectV1, everyClient } from '../support/mcp-clients.ts'
import { openListener, type UpstreamKind } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const agents = { a: agentWith('a', { s: wholeGrant }), b: agentWith('b', { s: wholeGrant }) }
const both = { accept: 'application/json, text/event-stream' }
const bearer = (secret: string) => ({ header: 'authorization', value: `Bearer ${secret}` })
let proxy: OpenProxy
let guarded: Guarded
let secret: string

beforeEach(async () => {
  proxy = await openProxy()
  secret = randomToken()
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await guarded[Symbol.asyncDispose]()
})

async function guard(kind: UpstreamKind): Promise<void> {
  guarded = await openGuarded(kind, { takes: [`Bearer ${secret}`] })
  use(secret)
}

function use(value: string | undefined): void {
  const credential = value === undefined ? {} : { credential: bearer(value) }
  proxy.use({ agents, servers: { s: serverAt('s', guarded.origin, credential) } })
}

const generation = () => serverAt('s', guarded.origin).generation
const probe = () => proxy.gateway.probes.probe(generation())
const kinds: readonly UpstreamKind[] = ['v1-sessions', 'v1-stateless', 'v2', 'v2-strict']

describe.each(kinds)('the credential of an outside server, %s,', (kind) => {
  test('goes with every request to it, and the agent’s never does', async () => {
    await guard(kind)
    for (const connect of Object.values(everyClient)) {
      const client = await connect(`${proxy.url}/mcp`, as('a'))
      expect(await client.callTool('s__echo', { text: 'hi' })).toMatchObject({ text: 'hi' })
      await client.close()
    }
    const { text } = await proxy.post('/mcp/s', rpc('tools/call', { name: 'echo', arguments: { text: 'hi' } }), as('a'))
    expect(text).toContain('"hi"')
    await until('it is probed', () => probe()?.ok)
    await proxy.gateway.pool[Symbol.asyncDispose]()
    expect(guarded.refused).toEqual([])
    expect(guarded.seen.flatMap(({ headers }) => leaksIn('', JSON.stringify(headers), { a: tokenOf('a') }))).toEqual([])
  })
})

test('the credential goes with streams, subscriptions and ends of sessions', async () => {
  await guard('v1-sessions')
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
  const { headers } = await proxy.post('/mcp', rpc('initialize', params), { ...as('a'), ...both })
  const session = { ...as('a'), ...both, 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
  await proxy.post('/mcp', rpc('tools/call', { name: 's__echo', arguments: { text: 'hi' } }), session)
  const taken = await proxy.post('/mcp', rpc('resources/subscribe', { uri: 's+demo://one' }), session)
  expect(taken.json.result).toEqual({})
  await fetch(`${proxy.url}/mcp`, { method: 'DELETE', headers: session })
  const own = await proxy.post('/mcp/s', rpc('initialize', params), { ...as('a'), ...both })
  const ownSession = { ...as('a'), 'mcp-session-id': own.headers.get('mcp-session-id') ?? '' }
  const stream = await fetch(`${proxy.url}/mcp/s`, { headers: { ...ownSession, accept: 'text/event-stream' } })
  expect(stream.status).toBe(200)
  await stream.body?.cancel()
  await fetch(`${proxy.url}/mcp/s`, { method: 'DELETE', headers: ownSession })
  await until('no session is left', () => guarded.inner.sessions === 0)
  expect(new Set(guarded.seen.map(({ method }) => method))).toEqual(new Set(['POST', 'GET', 'DELETE']))
  expect(guarded.refused).toEqual([])
})

test('a new credential loses no session, and is sent from the next request on', async () => {
  await guard('v1-sessions')
  const clients = await Promise.all(['/mcp', '/mcp/s'].map((path) => connectV1(`${proxy.url}${path}`, as('a'))))
  const call = () =>
    Promise.all(clients.map((client, index) => client.callTool(['s__echo', 'echo'][index] ?? '', { text: 'hi' })))
  await call()
  const next = randomToken()
  guarded.takes.add(`Bearer ${next}`)
  const opened = () => guarded.seen.filter(({ body }) => body.includes('"initialize"') && !body.includes('id":"init'))
  const before = opened().length
  use(next)
  guarded.takes.delete(`Bearer ${secret}`)
  expect((await call()).map(({ text }) => text)).toEqual(['hi', 'hi'])
  expect(opened()).toHaveLength(before)
  expect(guarded.refused).toEqual([])
  await Promise.all(clients.map((client) => client.close()))
})

test('a server that moves to another host is sent the credential there, and the host that it left is sent none any more', async () => {
  await guard('v2')
  await using left = await openGuarded('v2')
  proxy.use({ agents, servers: { s: serverAt('s', left.origin) } })
  await until('the host is asked', () => left.refused.length > 0)
  use(secret)
  const { json } = await proxy.post('/mcp/s', rpc('tools/call', { name: 'echo', arguments: { text: 'hi' } }), as('a'))
  expect(json.result.content[0].text).toBe('hi')
  const { generation: same } = serverAt('s', guarded.origin)
  const credential = { credential: bearer(secret), generation: same }
  const target = proxy.gateway.holder.current?.targets.get(same) ?? expect.unreachable()
  proxy.use({ agents, servers: { s: serverAt('s', 'http://127.0.0.1:1', credential) } })
  const sending = {
    target: { ...target, origin: left.origin },
    method: 'POST',
    headers: {},
    signal: AbortSignal.timeout(5_000),
  } as const
  await proxy.gateway.upstreams.send(sending, () => expect.unreachable()).catch(() => undefined)
  expect(left.seen.flatMap(({ headers }) => leaksIn('', JSON.stringify(headers), { secret }))).toEqual([])
})

describe.each(['/mcp', '/mcp/s'])('a server that refuses the credential, at %s,', (path) => {
  const call = () => {
    const name = path === '/mcp' ? 's__echo' : 'echo'
    return proxy.post(path, rpc('tools/call', { name, arguments: { text: 'hi' } }), as('a'))
  }
  const words =
    's refuses the credential that the gateway sends it (HTTP 401); whoever runs the gateway can put that right'

  test('is named in-band, without its challenge and its words', async () => {
    await guard('v2')
    guarded.takes.clear()
    const { status, headers, json, text } = await call()
    expect([status, json]).toEqual([200, { jsonrpc: '2.0', id: 1, error: { code: -32603, message: words } }])
    expect(headers.get('www-authenticate')).toBeNull()
    expect(text).not.toContain(guardWords)
    await until('its probe says so', () => probe()?.refused)
    expect(probe()).toMatchObject({ ok: false, error: 'server/discover answered HTTP 401', refused: true })
    expect(leaksIn('report', JSON.stringify(probe()), { secret })).toEqual([])
    expect(leaksIn('log', JSON.stringify(proxy.lines), { secret, a: tokenOf('a') })).toEqual([])
  })

  test('is well again as soon as it takes another', async () => {
    await guard('v2')
    guarded.takes.clear()
    await until('it refuses', () => probe()?.refused)
    const next = randomToken()
    guarded.takes.add(`Bearer ${next}`)
    use(next)
    await until('its probe is good', () => probe()?.ok)
    expect((await call()).json.result.content[0].text).toBe('hi')
  })

  test('is well again as soon as a call shows that it takes this one', async () => {
    await guard('v2')
    await until('it is known', () => probe()?.ok)
    guarded.takes.clear()
    proxy.gateway.probes.again(generation())
    await until('it refuses', () => probe()?.refused)
    expect((await call()).json.error.message).toBe(words)
    guarded.takes.add(`Bearer ${secret}`)
    expect((await call()).json.result.content[0].text).toBe('hi')
    await until('its probe is good', () => probe()?.ok)
  })

  test('is told apart from one that is sent none', async () => {
    await guard('v2')
    use(undefined)
    const { status, json } = await call()
    expect([status, json.error.message]).toEqual([
      200,
      's refuses the gateway, which sends it no credential (HTTP 401); whoever runs the gateway can put that right',
    ])
  })
})

test('a server that refuses its credential is not asked again and again', async () => {
  await guard('v2')
  guarded.takes.clear()
  await until('it refuses', () => probe()?.refused)
  const asked = guarded.seen.length
  for (let table = 0; table < 5; table++) use(secret)
  await proxy.post('/mcp', rpc('tools/list'), as('a'))
  await until('only the list asked', () => guarded.seen.length > asked)
  expect(guarded.seen.length - asked).toBeLessThan(3)
})

test('a redirect takes the credential nowhere', async () => {
  await using thief = await openListener((_, response) => void response.writeHead(200).end())
  guarded = await openGuarded('v2')
  await using front = await openListener(
    (_, response) => void response.writeHead(307, { location: `${thief.origin}/mcp` }).end(),
  )
  proxy.use({ agents, servers: { s: serverAt('s', front.origin, { credential: bearer(secret) }) } })
  for (const path of ['/mcp', '/mcp/s']) {
    const { json } = await proxy.post(path, rpc('tools/call', { name: path === '/mcp' ? 's__echo' : 'echo' }), as('a'))
    expect(json.error.message).toBe('s gave an answer that is not MCP (HTTP 307, a redirect, which is not followed)')
  }
  await until('it is probed', () => proxy.gateway.probes.probe(serverAt('s', front.origin).generation))
  expect(front.seen.length).toBeGreaterThan(0)
  expect(thief.seen).toEqual([])
})

test('any header can carry it, as it is', async () => {
  guarded = await openGuarded('v2', { header: 'x-api-key', takes: [secret] })
  const credential = { header: 'x-api-key', value: secret }
  proxy.use({ agents, servers: { s: serverAt('s', guarded.origin, { credential }) } })
  const { json } = await proxy.post('/mcp', rpc('tools/call', { name: 's__echo', arguments: { text: 'hi' } }), {
    ...as('a'),
    'x-api-key': 'of the client',
  })
  expect(json.result.content[0].text).toBe('hi')
  expect(guarded.refused).toEqual([])
})
