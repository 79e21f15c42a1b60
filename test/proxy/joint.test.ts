import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openListener, openPlain, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let old: Upstream
let fresh: Upstream
const agents = { a: agentWith('a', { old: wholeGrant, fresh: wholeGrant, third: wholeGrant }) }
beforeEach(async () => {
  proxy = await openProxy()
  old = await openUpstream('v1-sessions')
  fresh = await openUpstream('v2')
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
  await fresh[Symbol.asyncDispose]()
})
const servers = () => ({ old: serverAt('old', old.origin), fresh: serverAt('fresh', fresh.origin) })
const echo = (name: string, id: string | number = 1) => rpc('tools/call', { name, arguments: { text: 'hi' } }, id)
const names = async () => {
  const { json } = await proxy.post('/mcp', rpc('tools/list'), as('a'))
  return json.result.tools.map(({ name }: { name: string }) => name)
}

const version = '2026-07-28'
const envelope = {
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientCapabilities': {},
}
const modern = (method: string, more: Record<string, string> = {}) => ({
  ...as('a'),
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': version,
  'mcp-method': method,
  ...more,
})

describe('the joint endpoint', () => {
  test('joins all servers in the order of their names, and is the same each time', async () => {
    proxy.use({ agents, servers: servers() })
    const first = await names()
    expect(first.map((name: string) => name.split('__')[0])).toEqual([
      ...Array(7).fill('fresh'),
      ...Array(8).fill('old'),
    ])
    expect(await names()).toEqual(first)
  })

  test('calls a tool by a name that had to be changed', async () => {
    proxy.use({ agents, servers: servers() })
    const name = (await names()).find((one: string) => one.startsWith('old__dotted'))
    expect(name).toMatch(/^old__dotted_name_[0-9a-f]{6}$/)
    expect((await proxy.post('/mcp', rpc('tools/call', { name }), as('a'))).json.result.content[0].text).toBe('dotted')
  })

  test('has no prefix where the manifest says so', async () => {
    proxy.use({ agents, servers: { ...servers(), fresh: serverAt('fresh', fresh.origin, { prefix: '' }) } })
    expect(await names()).toContain('echo')
    await until('the tools are known', () => proxy.gateway.probes.probe(serverAt('fresh', fresh.origin).generation)?.ok)
    expect((await proxy.post('/mcp', echo('echo'), as('a'))).json.result.content[0].text).toBe('hi')
    expect((await proxy.post('/mcp', echo('old__echo'), as('a'))).json.result.content[0].text).toBe('hi')
  })

  test.each([0, '', 'x', 7, -1])('echoes the id %j with its type', async (id) => {
    proxy.use({ agents, servers: servers() })
    for (const name of ['old__echo', 'fresh__echo'])
      expect((await proxy.post('/mcp', echo(name, id), as('a'))).json.id).toBe(id)
  })

  test('passes arguments and results on as they were written', async () => {
    let body = ''
    await using exact = await openListener((request, response) => {
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        const { method, id } = JSON.parse(body.slice(body.lastIndexOf('{"jsonrpc"')))
        const results: Record<string, string> = {
          'server/discover': '{"supportedVersions":["2026-07-28"],"capabilities":{},"resultType":"complete"}',
          'tools/list': '{"tools":[{"name":"t","inputSchema":{"type":"object"}}],"resultType":"complete"}',
          'tools/call':
            '{"content":[],"structuredContent":{"big":12345678901234567890,"one":1.0},"resultType":"complete","vendor":{"x":1e2}}',
        }
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${results[method] ?? '{}'}}`)
      })
    })
    proxy.use({ agents, servers: { third: serverAt('third', exact.origin) } })
    const call =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"third__t","arguments":{"big":12345678901234567890,"one":1.0}}}'
    const { text } = await proxy.post('/mcp', call, as('a'))
    expect(text).toContain('"structuredContent":{"big":12345678901234567890,"one":1.0}')
    expect(text).toContain('"vendor":{"x":1e2}')
    expect(text).not.toContain('resultType')
    expect(body).toContain('"arguments":{"big":12345678901234567890,"one":1.0}')
  })

  test('lists the others when one server is down, one answers nonsense and one hangs', async () => {
    await using hanging = await openListener(() => undefined)
    await using nonsense = await openListener(
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    )
    const more = { third: wholeGrant, hanging: wholeGrant, down: wholeGrant }
    proxy.use({
      agents: { a: agentWith('a', { fresh: wholeGrant, ...more }) },
      servers: {
        fresh: serverAt('fresh', fresh.origin),
        third: serverAt('third', nonsense.origin),
        hanging: serverAt('hanging', hanging.origin),
        down: serverAt('down', 'http://127.0.0.1:1'),
      },
    })
    expect(new Set((await names()).map((name: string) => name.split('__')[0]))).toEqual(new Set(['fresh']))
    expect(
      proxy.lines
        .filter(({ msg }) => msg === 'left out of a list of tools')
        .map(({ server }) => server)
        .sort(),
    ).toEqual(['down', 'hanging', 'third'])
  })

  test('serves legacy clients with and without a session', async () => {
    proxy.use({ agents, servers: servers() })
    const answer = await proxy.post(
      '/mcp',
      rpc('initialize', { protocolVersion: '2099-01-01', capabilities: {} }),
      as('a'),
    )
    const session = answer.headers.get('mcp-session-id') ?? expect.fail('no session')
    expect(answer.json.result).toMatchObject({
      protocolVersion: '2025-11-25',
      capabilities: { tools: { listChanged: true } },
      instructions: expect.stringContaining('## fresh'),
    })
    expect((await proxy.post('/mcp', { jsonrpc: '2.0', method: 'notifications/initialized' }, as('a'))).status).toBe(
      202,
    )
    expect((await proxy.post('/mcp', rpc('ping'), { ...as('a'), 'mcp-session-id': session })).json.result).toEqual({})
    expect((await proxy.post('/mcp', rpc('ping'), { ...as('a'), 'mcp-session-id': 'x' })).json.error.code).toBe(-32001)
    expect(
      (await proxy.post('/mcp', rpc('ping'), { ...as('a'), 'mcp-protocol-version': '2030-01-01' })).json.error.code,
    ).toBe(-32000)
    expect((await proxy.post('/mcp', rpc('roots/list'), as('a'))).json.error.code).toBe(-32601)
  })

  test('gives a session of an upstream a second chance when the upstream lost it', async () => {
    proxy.use({ agents, servers: servers() })
    await proxy.post('/mcp', echo('old__echo'), as('a'))
    const lost = await proxy.gateway.pool.session(
      proxy.gateway.holder.current?.targets.get(servers().old.generation) ?? expect.fail(),
      'a',
    )
    await fetch(`${old.origin}/mcp`, { method: 'DELETE', headers: { 'mcp-session-id': lost.id ?? '' } })
    expect((await proxy.post('/mcp', echo('old__echo'), as('a'))).json.result.content[0].text).toBe('hi')
  })

  test('tells a legacy server that a call is cancelled when its client goes away', async () => {
    proxy.use({ agents, servers: servers() })
    const gone = new AbortController()
    const body = JSON.stringify(rpc('tools/call', { name: 'old__wait' }))
    const headers = { ...as('a'), 'content-type': 'application/json' }
    const call = fetch(`${proxy.url}/mcp`, { method: 'POST', headers, body, signal: gone.signal }).catch(
      () => undefined,
    )
    await until('the call is on its way', () => old.seen.some((one) => one.body.includes('"wait"')))
    gone.abort()
    await call
    await until('the server is told', () => old.seen.some((one) => one.body.includes('notifications/cancelled')))
  })
})

describe('a modern request to the joint endpoint', () => {
  beforeEach(() => proxy.use({ agents, servers: servers() }))
  const named = (name: string) => ({ 'mcp-name': name })
  const call = (meta: object = envelope) =>
    rpc('tools/call', { name: 'fresh__echo', arguments: { text: 'hi' }, _meta: meta })

  test.each([
    ['no envelope', call({}), modern('tools/call', named('fresh__echo')), 400, -32602],
    [
      'no capabilities',
      call({ 'io.modelcontextprotocol/protocolVersion': version }),
      modern('tools/call', named('fresh__echo')),
      400,
      -32602,
    ],
    ['no version header', call(), as('a'), 400, -32020],
    [
      'another version in the header',
      call(),
      modern('tools/call', { ...named('fresh__echo'), 'mcp-protocol-version': '2025-11-25' }),
      400,
      -32020,
    ],
    ['no Mcp-Method', call(), { ...as('a'), 'mcp-protocol-version': version, ...named('fresh__echo') }, 400, -32020],
    ['another Mcp-Method', call(), modern('tools/list', named('fresh__echo')), 400, -32020],
    ['no Mcp-Name', call(), modern('tools/call'), 400, -32020],
    ['another Mcp-Name', call(), modern('tools/call', named('fresh__secret')), 400, -32020],
    ['an Mcp-Name that is not exact', call(), modern('tools/call', named('=?base64?x?=')), 400, -32020],
    ['initialize', rpc('initialize', { protocolVersion: version }), modern('initialize'), 400, -32020],
    ['an unknown method', rpc('nope', { _meta: envelope }), modern('nope'), 404, -32601],
    ['ping', rpc('ping', { _meta: envelope }), modern('ping'), 404, -32601],
    ['a batch', [call()], modern('tools/call', named('fresh__echo')), 400, -32600],
    [
      'an unknown tool',
      rpc('tools/call', { name: 'nix__x', _meta: envelope }),
      modern('tools/call', named('nix__x')),
      200,
      -32602,
    ],
  ])('with %s is refused', async (_, body, headers, status, code) => {
    const answer = await proxy.post('/mcp', body, headers)
    expect([answer.status, answer.json.error.code]).toEqual([status, code])
  })

  test('of an unknown version is told the versions that there are', async () => {
    const meta = { ...envelope, 'io.modelcontextprotocol/protocolVersion': 'v999' }
    const answer = await proxy.post(
      '/mcp',
      call(meta),
      modern('tools/call', { ...named('fresh__echo'), 'mcp-protocol-version': 'v999' }),
    )
    expect([answer.status, answer.json.error]).toMatchObject([
      400,
      { code: -32022, data: { supported: [version], requested: 'v999' } },
    ])
  })

  test.each(['fresh', 'old'])('calls a tool of %s', async (server) => {
    const name = `${server}__echo`
    const body = rpc('tools/call', { name, arguments: { text: 'hi' }, _meta: envelope })
    const { status, json } = await proxy.post('/mcp', body, {
      ...modern('tools/call', named(name)),
      'mcp-session-id': 'ignored',
    })
    expect([status, json.result]).toMatchObject([
      200,
      { resultType: 'complete', content: [{ type: 'text', text: 'hi' }] },
    ])
  })

  test('gets lists that nobody else may keep', async () => {
    const list = await proxy.post('/mcp', rpc('tools/list', { _meta: envelope }), modern('tools/list'))
    const discover = await proxy.post('/mcp', rpc('server/discover', { _meta: envelope }), modern('server/discover'))
    for (const { json } of [list, discover])
      expect(json.result).toMatchObject({ resultType: 'complete', ttlMs: 0, cacheScope: 'private' })
    expect(discover.json.result.supportedVersions).toEqual([version])
  })
})

test('arguments that a tool wants as headers are checked for a modern client and written for a legacy one', async () => {
  const seen: (string | undefined)[] = []
  await using picky = await openPlain((method, { headers }) => {
    if (method === 'tools/call') seen.push(String(headers['mcp-param-city']))
    const city = { type: 'string', 'x-mcp-header': 'City' }
    const properties = { deep: { type: 'object', properties: { city } } }
    const tools = [{ name: 't', inputSchema: { type: 'object', properties } }]
    const about = { supportedVersions: [version], capabilities: { tools: {} } }
    return { ...about, tools, content: [], resultType: 'complete' }
  })
  proxy.use({ agents, servers: { third: serverAt('third', picky.origin) } })
  const params = { name: 'third__t', arguments: { deep: { city: 'Köln' } } }
  expect((await proxy.post('/mcp', rpc('tools/call', params), as('a'))).status).toBe(200)
  const ask = (headers: Record<string, string>) =>
    proxy.post(
      '/mcp',
      rpc('tools/call', { ...params, _meta: envelope }),
      modern('tools/call', { 'mcp-name': 'third__t', ...headers }),
    )
  expect((await ask({ 'mcp-param-city': '=?base64?S8O2bG4=?=' })).status).toBe(200)
  const wrong: readonly Record<string, string>[] = [{}, { 'mcp-param-city': 'Bonn' }]
  for (const headers of wrong) expect((await ask(headers)).json.error.code).toBe(-32020)
  expect(seen).toEqual(['=?base64?S8O2bG4=?=', '=?base64?S8O2bG4=?='])
})
