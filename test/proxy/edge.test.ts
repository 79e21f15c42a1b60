import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, enter } from '../support/wire.ts'

let proxy: OpenProxy
let server: RawServer
beforeEach(async () => {
  server = await openRawServer({
    era: 'legacy',
    tools: {
      echo: ({ params }) => textResult(JSON.stringify(params.arguments ?? null)),
    },
  })
  proxy = await openProxy()
  use()
  await until('the server is known', () => proxy.gateway.probes.known(serverAt('s', server.origin).generation))
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
const use = (more = {}) => {
  const servers = { s: serverAt('s', server.origin), ...more }
  const grants = Object.fromEntries(Object.keys(servers).map((name) => [name, wholeGrant]))
  proxy.use({ agents: { a: agentWith('a', grants) }, servers })
}

describe('(F35) a gateway that is its own server', () => {
  const credential = { header: 'authorization', value: `Bearer ${tokenOf('a')}` }
  const namesOf = async (of: OpenProxy) => {
    const { json } = await of.post('/mcp', rpc('tools/list'), as('a'))
    return json.result.tools.map(({ name }: { name: string }) => name)
  }
  /** Who was waited for in vain. */
  const late = (of: OpenProxy) => of.lines.filter((line) => JSON.stringify(line).includes('TimeoutError'))

  test('knows so at once, says so, and serves the others', async () => {
    const self = serverAt('self', proxy.url, { credential })
    use({ self })
    expect(await namesOf(proxy)).toEqual(['s__echo'])
    expect(late(proxy)).toEqual([])
    const probe = await until('it was asked', () => proxy.gateway.probes.probe(self.generation))
    expect(probe).toMatchObject({ ok: false, error: 'server/discover answered HTTP 508 with error -32603' })
    expect(probe.said).toMatch(/leads back to it/)
    const { status, json } = await proxy.post('/mcp/self', rpc('ping', {}, 'p'), as('a'))
    expect([status, json.id, json.error]).toMatchObject([508, null, { code: -32603, message: /leads back to it/ }])
  })

  test('by way of another one knows so at once, and serves what both have', async () => {
    await using other = await openProxy()
    const agents = { a: agentWith('a', { one: wholeGrant, s: wholeGrant }) }
    const servers = { one: serverAt('one', proxy.url, { credential }), s: serverAt('s', server.origin) }
    other.use({ agents, servers })
    use({ two: serverAt('two', other.url, { credential }) })
    for (const names of await Promise.all([namesOf(proxy), namesOf(other)])) expect(names).toContain('s__echo')
    expect(await namesOf(proxy)).toEqual(['s__echo', 'two__s__echo'])
    expect([...late(proxy), ...late(other)]).toEqual([])
  })

  test('is not one that comes after others, unless they are many', async () => {
    const through = (count: number) => ({
      via: ['1.1 nginx', ...Array.from({ length: count }, (_, i) => `1.1 commons-gateway-${i}`)].join(', '),
    })
    const looped = await proxy.post('/mcp', rpc('ping', {}, 'p'), { ...as('a'), ...through(4) })
    expect([looped.status, looped.json.error]).toMatchObject([508, { code: -32603, message: /leads back to it/ }])
    const call = rpc('tools/call', { name: 's__echo' })
    expect((await proxy.post('/mcp', call, { ...as('a'), ...through(3) })).status).toBe(200)
    const { pseudonym } = proxy.gateway
    const sent = server.seen.at(-1)?.headers.via
    expect(sent).toBe(`1.1 commons-gateway-0, 1.1 commons-gateway-1, 1.1 commons-gateway-2, 1.1 ${pseudonym}`)
  })
})

describe('(F35) headers', () => {
  const own = {
    cookie: 'c=1',
    'proxy-authorization': 'Basic x',
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-authorization': 'Bearer y',
    forwarded: 'for=10.0.0.1',
    'x-real-ip': '10.0.0.1',
    origin: 'http://localhost',
    'last-event-id': '0_0',
    'x-session-id': 'chosen',
    'x-custom': 'mine',
  }

  test.each([
    ['/mcp', 'legacy'],
    ['/mcp', 'modern'],
    ['/mcp/s', 'legacy'],
    ['/mcp/s', 'modern'],
  ] as const)('of a client at %s in the %s era stay behind, and those of its server too', async (path, era) => {
    const way = await enter(proxy, { path, era, agent: 'a' })
    const name = path === '/mcp' ? 's__echo' : 'echo'
    const before = server.seen.length
    const { result } = await answerTo({ ...way, headers: { ...way.headers, ...own } }, 'tools/call', { name })
    expect(result).toMatchObject({ content: [{ type: 'text' }] })
    const sent = server.seen.slice(before)
    expect(sent.length).toBeGreaterThan(0)
    for (const { headers } of sent) {
      const said = JSON.stringify(headers)
      for (const value of [
        tokenOf('a'),
        'c=1',
        'Basic x',
        '10.0.0.1',
        'Bearer y',
        '0_0',
        'chosen',
        'mine',
        way.headers['mcp-session-id'],
      ])
        if (value !== undefined) expect(said).not.toContain(value)
      expect(headers.origin).toBeUndefined()
      expect(headers.host).toBe(new URL(server.origin).host)
    }
  })

  test.each([
    ['host', 'evil.example.com', 403],
    ['host', 'localhost.evil.example.com', 403],
    ['host', 'gateway.example', 200],
    ['host', '[::1]:3100', 200],
    ['host', '10.1.2.3', 200],
    ['origin', 'http://evil.example.com', 403],
    ['origin', 'null', 403],
    ['origin', 'http://localhost:5173', 200],
    ['origin', 'https://gateway.example', 200],
  ])('%s: %s is answered with %i', async (header, value, status) => {
    const text = JSON.stringify(rpc('ping'))
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1')
    const all = {
      host: 'localhost',
      ...as('a'),
      'content-type': 'application/json',
      connection: 'close',
      [header]: value,
    }
    const head = Object.entries({ ...all, 'content-length': text.length }).map(([name, one]) => `${name}: ${one}`)
    socket.end(`POST /mcp HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${text}`)
    const answer = Buffer.concat(await socket.toArray()).toString()
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    if (status === 403) expect(answer).toContain('"code":-32000')
  })

  test('that repeat arguments may be sent by a browser', async () => {
    const headers = {
      origin: 'http://localhost',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, mcp-param-region, x-other',
    }
    const answer = await fetch(`${proxy.url}/mcp`, { method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-headers')).toMatch(/Authorization.*, mcp-param-region$/)
  })
})
