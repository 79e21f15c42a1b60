import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Grant, Table } from '#manifests/table.ts'
import { openListener, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import {
  type Answered,
  agentWith,
  as,
  hashOf,
  type OpenProxy,
  openProxy,
  rpc,
  serverAt,
  tokenOf,
  wholeGrant,
} from '../support/proxy.ts'
import { until } from '../support/until.ts'

const onlyEcho: Grant = { tools: ['echo', 'co*t'], prompts: [], resources: ['demo://one'] }
const both = { accept: 'application/json, text/event-stream' }
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
}
const modern = (method: string, name?: string) => ({
  ...both,
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name === undefined ? {} : { 'mcp-name': name }),
})

let proxy: OpenProxy
let v1: Upstream
let v2: Upstream
let tables: Pick<Table, 'agents' | 'servers'>
beforeEach(async () => {
  proxy = await openProxy()
  v1 = await openUpstream('v1-sessions')
  v2 = await openUpstream('v2')
  tables = {
    agents: {
      a: agentWith('a', { one: wholeGrant, two: wholeGrant }),
      b: agentWith('b', { one: wholeGrant }),
      narrow: agentWith('narrow', { one: onlyEcho, two: onlyEcho }),
      none: agentWith('none', {}),
      late: { ...agentWith('late', { one: wholeGrant }), expires: '2001-01-31' },
      newline: { hashes: [hashOf(`${tokenOf('newline')}\n`)], grants: {} },
    },
    servers: { one: serverAt('one', v1.origin), two: serverAt('two', v2.origin) },
  }
  proxy.use(tables)
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await v1[Symbol.asyncDispose]()
  await v2[Symbol.asyncDispose]()
})

/** Opens a session straight through to a sessionful server. */
async function openSession(agent: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
  const { headers } = await proxy.post('/mcp/one', rpc('initialize', params), { ...as(agent), ...both })
  const id = headers.get('mcp-session-id')
  if (id === null) throw new Error('no session')
  await proxy.post(
    '/mcp/one',
    { jsonrpc: '2.0', method: 'notifications/initialized' },
    { ...as(agent), ...both, 'mcp-session-id': id },
  )
  return id
}

/** An answer without what differs each time. */
const bare = ({ status, text, headers }: Answered) => ({
  status,
  text,
  headers: [...headers].filter(([name]) => name !== 'date'),
})

/** A request whose headers are sent as they are, Host included. */
function raw(
  path: string,
  headers: Record<string, string>,
  method = 'POST',
  body = JSON.stringify(rpc('ping')),
): Promise<number> {
  return new Promise((done, fail) => {
    const sent = request(
      proxy.url + path,
      { method, headers: { 'content-type': 'application/json', ...headers } },
      (answer) => {
        answer.resume()
        done(answer.statusCode ?? 0)
      },
    )
    sent.on('error', fail)
    sent.end(method === 'POST' ? body : undefined)
  })
}

describe('who is let in', () => {
  test.each([
    [
      'a missing token',
      {},
      /send Authorization: Bearer .* gateway-repo manifests\/permissions\.yaml/,
      'Bearer realm="mcp-gateway"',
    ],
    [
      'an unknown token',
      { authorization: 'Bearer nope' },
      /unknown or revoked.* gateway-repo manifests\/permissions\.yaml/,
      'error="invalid_token"',
    ],
    [
      'an expired token',
      as('late'),
      /token of late expired.*2001-01-31.* gateway-repo manifests\/permissions\.yaml/,
      'error="invalid_token"',
    ],
    [
      'a hash with a newline in it',
      as('newline'),
      new RegExp(`of newline in .*trailing newline; replace it with sha256:${hashOf(tokenOf('newline'))}`),
      'invalid_token',
    ],
    ['a password', { authorization: 'Basic YTpi' }, /send Authorization: Bearer/, 'Bearer realm'],
  ])('answers %s with 401 and what to change', async (_, headers, words, challenge) => {
    const { status, json, headers: answered } = await proxy.post('/mcp', rpc('ping'), headers)
    expect(status).toBe(401)
    expect(json.error.message).toMatch(words)
    expect(answered.get('www-authenticate')).toContain(challenge)
    expect(answered.get('www-authenticate')).not.toContain('resource_metadata')
  })

  test('asks for a token before it says which methods there are', async () => {
    expect(await raw('/mcp', {}, 'GET')).toBe(401)
    expect(await raw('/mcp', as('a'), 'GET')).toBe(405)
    expect(await raw('/mcp/one', as('a'), 'DELETE')).toBe(405)
  })

  test('takes the scheme in any case', async () => {
    expect((await proxy.post('/mcp', rpc('ping'), { authorization: `bearer ${tokenOf('a')}` })).status).toBe(200)
  })

  test.each([
    [{ host: 'evil.example' }, 403],
    [{ host: 'evil@localhost' }, 403],
    [{ host: 'localhost:1:2' }, 403],
    [{ host: 'gateway.example:3100' }, 200],
    [{ host: 'localhost:1' }, 200],
    [{ host: '192.168.1.7:3100' }, 200],
    [{ host: '[::1]:3100' }, 200],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://localhost:5173' }, 200],
    [{ origin: 'http://gateway.example' }, 200],
  ])('answers %j with %i', async (headers, status) => {
    expect(await raw('/mcp', { ...as('a'), ...headers })).toBe(status)
  })

  test.each([
    '/.well-known/oauth-protected-resource',
    '/.well-known/oauth-authorization-server/mcp',
    '/mcp/.well-known/openid-configuration',
    '/register',
    '/authorize',
    '/token',
    '/elsewhere',
  ])('answers %s with a plain 404 without a token', async (path) => {
    const { status, text } = await proxy.post(path, {})
    expect([status, text]).toEqual([404, '{"error":"not_found"}'])
    expect(await raw(path, {}, 'GET')).toBe(404)
  })

  test('answers a preflight without a token', async () => {
    expect(await raw('/mcp', { origin: 'http://localhost:5173' }, 'OPTIONS')).toBe(204)
  })
})

describe('what is not granted does not exist', () => {
  test('an ungranted server is answered byte for byte as an unknown one', async () => {
    const [ungranted, unknown] = [
      await proxy.post('/mcp/two', rpc('ping'), as('b')),
      await proxy.post('/mcp/nix', rpc('ping'), as('b')),
    ]
    expect(bare(ungranted)).toEqual(bare(unknown))
    expect([ungranted.status, ungranted.text]).toEqual([404, '{"error":"not_found"}'])
  })

  test.each(['__proto__', 'constructor', 'toString', '%2e%2e', 'one%2f..'])(
    'a server named %s is unknown',
    async (name) => {
      expect((await proxy.post(`/mcp/${name}`, rpc('ping'), as('a'))).status).toBe(404)
    },
  )

  test.each([
    ['/mcp/one', 'secret', 'nothing'],
    ['/mcp/two', 'secret', 'nothing'],
    ['/mcp', 'one__secret', 'one__nothing'],
    ['/mcp', 'two__secret', 'nix__secret'],
  ])('at %s an ungranted tool is answered byte for byte as an unknown one', async (path, ungranted, unknown) => {
    const answers = await Promise.all(
      [ungranted, unknown].map((name) => proxy.post(path, rpc('tools/call', { name }), as('narrow'))),
    )
    const [first, second] = answers.map(bare)
    expect(first?.text.replaceAll(ungranted, unknown)).toBe(second?.text)
    expect(JSON.parse(first?.text ?? '').error).toEqual({ code: -32602, message: `Unknown tool: ${ungranted}` })
    expect(first?.status).toBe(200)
  })

  test.each(['/mcp/one', '/mcp/two', '/mcp'])('at %s lists leave out what is not granted', async (path) => {
    const { json } = await proxy.post(path, rpc('tools/list'), as('narrow'))
    const names = json.result.tools.map(({ name }: { name: string }) => name.replace(/^.*__/, ''))
    expect(new Set(names)).toEqual(new Set(['echo', 'count']))
  })

  test('lists of prompts and resources leave out what is not granted, and it cannot be read', async () => {
    expect((await proxy.post('/mcp/one', rpc('prompts/list'), as('narrow'))).json.result.prompts).toEqual([])
    const { json } = await proxy.post('/mcp/one', rpc('resources/list'), as('narrow'))
    expect(json.result.resources.map(({ uri }: { uri: string }) => uri)).toEqual(['demo://one'])
    expect(
      (await proxy.post('/mcp/one', rpc('resources/read', { uri: 'demo://one' }), as('narrow'))).json.result.contents[0]
        .text,
    ).toBe('one')
    expect(
      (await proxy.post('/mcp/one', rpc('resources/read', { uri: 'demo://two' }), as('narrow'))).json.error.code,
    ).toBe(-32602)
    expect((await proxy.post('/mcp/one', rpc('prompts/get', { name: 'greet' }), as('narrow'))).json.error.code).toBe(
      -32602,
    )
    const ref = { type: 'ref/prompt', name: 'greet' }
    expect((await proxy.post('/mcp/one', rpc('completion/complete', { ref }), as('narrow'))).json.error.code).toBe(
      -32602,
    )
  })

  test('lists inside an open session and its event stream leave it out too', async () => {
    const session = await openSession('narrow')
    const { text } = await proxy.post('/mcp/one', rpc('tools/list'), {
      ...as('narrow'),
      ...both,
      'mcp-session-id': session,
    })
    expect(text).toContain('echo')
    expect(text).not.toContain('secret')
  })

  test('an agent without grants is told where to ask for one', async () => {
    const { json } = await proxy.post('/mcp', rpc('initialize', { protocolVersion: '2025-06-18' }), as('none'))
    expect(json.result.protocolVersion).toBe('2025-06-18')
    expect(json.result.instructions).toContain('agents.none.servers in gateway-repo manifests/permissions.yaml')
  })
})

describe('what is smuggled in', () => {
  /** Sends text as a narrow agent and tells whether any upstream saw the secret tool called. */
  async function reaches(text: string, path = '/mcp/one', headers: Record<string, string> = {}): Promise<boolean> {
    await proxy.post(path, text, { ...as('narrow'), ...headers })
    return [...v1.seen, ...v2.seen].some(({ body }) => body.includes('secret'))
  }

  test.each([
    [
      'an ungranted tool in a batch',
      '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"secret"}}]',
    ],
    [
      'a second name',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret","name":"echo","arguments":{"text":"x"}}}',
    ],
    [
      'a second name, escaped',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\\u0061me":"secret","name":"echo","arguments":{"text":"x"}}}',
    ],
    [
      'a name in another case',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","Name":"secret","arguments":{"text":"x"}}}',
    ],
    ['only a name in another case', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"NAME":"secret"}}'],
    [
      'second params',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"},"params":{"name":"echo"}}',
    ],
    [
      'params in another case',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"Params":{"name":"secret"}}',
    ],
    [
      'a letter that folds to another',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"param\u017f":{"name":"secret"}}',
    ],
    ['a second method', '{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"secret"}}'],
    ['a method in another case', '{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"secret"}}'],
    ['a method with a space', '{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"secret"}}'],
    ['a call without an id', '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"secret"}}'],
    ['a call with the id null', '{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"secret"}}'],
    ['a name that is a list', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["secret"]}}'],
    ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["secret"]}'],
    ['another JSON-RPC version', '{"jsonrpc":"1.0","id":1,"method":"tools/call","params":{"name":"secret"}}'],
    ['a batch in a batch', '[[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}]]'],
    ['a task of a tool', '{"jsonrpc":"2.0","id":1,"method":"tasks/create","params":{"name":"secret"}}'],
  ])('%s does not reach its server', async (_, text) => {
    expect(await reaches(text, '/mcp/one')).toBe(false)
    expect(await reaches(text, '/mcp/two')).toBe(false)
    expect(
      await reaches(text.replaceAll('"echo"', '"one__echo"').replaceAll('"secret"', '"one__secret"'), '/mcp'),
    ).toBe(false)
  })

  test('an Mcp-Name that differs from the body does not reach its server', async () => {
    const body = rpc('tools/call', { name: 'echo', arguments: { text: 'x' }, _meta: modernMeta })
    const answer = await proxy.post('/mcp/two', body, { ...as('narrow'), ...modern('tools/call', 'secret') })
    expect([answer.status, answer.json.error.code]).toEqual([400, -32020])
    expect(v2.seen.some(({ headers }) => headers['mcp-name'] === 'secret')).toBe(false)
  })

  test('a batch of which one part is refused is not sent at all', async () => {
    const batch = [
      rpc('tools/call', { name: 'echo', arguments: { text: 'x' } }, 1),
      rpc('tools/call', { name: 'secret' }, 2),
    ]
    const { json } = await proxy.post('/mcp/one', batch, as('narrow'))
    expect(json.map(({ id, error }: { id: number; error: { code: number } }) => [id, error.code])).toEqual([
      [1, -32600],
      [2, -32602],
    ])
    expect(v1.seen.some(({ body }) => body.includes('tools/call'))).toBe(false)
  })

  test('a body of more than 4 MiB is refused, whether it says so or not', async () => {
    const long = JSON.stringify(rpc('tools/call', { name: 'echo', arguments: { text: 'x'.repeat(4 * 1024 * 1024) } }))
    expect((await proxy.post('/mcp/one', long, as('a'))).status).toBe(413)
    expect(await raw('/mcp/one', { ...as('a'), 'transfer-encoding': 'chunked' }, 'POST', long)).toBe(413)
  })

  test.each([
    ['{', 400, -32700],
    ['"x"', 400, -32600],
    ['[]', 400, -32600],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600],
  ])('answers %s with %i and %i', async (text, status, code) => {
    for (const path of ['/mcp', '/mcp/one']) {
      const answer = await proxy.post(path, text, as('a'))
      expect([answer.status, answer.json.error.code]).toEqual([status, code])
    }
  })

  test('another media type is refused with the fix', async () => {
    const answer = await proxy.post('/mcp', rpc('ping'), {
      ...as('a'),
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect([answer.status, answer.json.error.message]).toEqual([
      415,
      expect.stringContaining('Content-Type: application/json'),
    ])
  })
})

describe('what upstreams see and say', () => {
  test("never the client's credentials, cookies, origin or hops", async () => {
    const sent = {
      ...as('a'),
      ...both,
      cookie: 'c=1',
      'x-forwarded-for': '1.2.3.4',
      'proxy-authorization': 'Basic eA==',
      'x-api-key': 'k',
      origin: 'http://localhost',
    }
    await openSession('a')
    for (const path of ['/mcp/one', '/mcp/two', '/mcp'])
      await proxy.post(
        path,
        rpc('tools/call', { name: path === '/mcp' ? 'two__echo' : 'echo', arguments: { text: 'x' } }),
        sent,
      )
    const all = [...v1.seen, ...v2.seen]
    expect(all.length).toBeGreaterThan(4)
    for (const { headers, body, url } of all) {
      expect(Object.keys(headers)).not.toEqual(expect.arrayContaining(['authorization']))
      for (const name of ['authorization', 'cookie', 'x-forwarded-for', 'proxy-authorization', 'x-api-key', 'origin'])
        expect(headers[name]).toBeUndefined()
      expect(JSON.stringify(headers) + body + url).not.toContain(tokenOf('a'))
    }
  })

  test('never passes on their challenges, cookies, redirects, session ids or pages', async () => {
    const answers: Record<string, [number, Record<string, string>, string]> = {
      challenge: [
        401,
        { 'www-authenticate': 'Bearer resource_metadata="http://evil.example"', 'content-type': 'application/json' },
        '{}',
      ],
      forbidden: [403, { 'content-type': 'application/json' }, '{}'],
      redirect: [307, { location: 'http://evil.example/' }, ''],
      page: [500, { 'content-type': 'text/html' }, '<h1>no</h1>'],
      zipped: [200, { 'content-encoding': 'gzip', 'content-type': 'application/json' }, 'zipped-body'],
      fine: [
        200,
        {
          'content-type': 'application/json',
          'set-cookie': 'a=b',
          'mcp-session-id': 'theirs',
          'x-powered-by': 'x',
          server: 'y',
        },
        '{"jsonrpc":"2.0","id":1,"result":{}}',
      ],
    }
    let next = ''
    await using hostile = await openListener((_, response) => {
      const [status, headers, body] = answers[next] ?? [400, {}, '']
      response.writeHead(status, headers).end(body)
    })
    proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', hostile.origin) } })
    for (next of Object.keys(answers)) {
      const answer = await proxy.post('/mcp/s', rpc('initialize'), { ...as('a'), ...both })
      expect(answer.status).toBe(200)
      expect(answer.json.id).toBe(1)
      expect(answer.text).not.toMatch(/evil|<h1>|zipped-body/)
      for (const name of ['www-authenticate', 'set-cookie', 'location', 'x-powered-by', 'server'])
        expect(answer.headers.get(name)).toBeNull()
      expect(answer.headers.get('mcp-session-id')).not.toBe('theirs')
      if (next !== 'fine') expect(answer.json.error.code).toBe(-32603)
    }
  })

  test('a name that no header can carry goes upstream encoded', async () => {
    const name = 'two__sch\u00f6n\r\nX-Evil: 1'
    const body = rpc('tools/call', { name, _meta: modernMeta })
    const encoded = `=?base64?${Buffer.from(name).toString('base64')}?=`
    await proxy.post('/mcp', body, { ...as('a'), ...modern('tools/call', encoded) })
    expect(v2.seen.every(({ headers }) => headers['x-evil'] === undefined)).toBe(true)
  })
})

describe('sessions', () => {
  test("another agent's session is answered byte for byte as an unknown one", async () => {
    const session = await openSession('a')
    const ask = (id: string) => proxy.post('/mcp/one', rpc('tools/list'), { ...as('b'), ...both, 'mcp-session-id': id })
    const [foreign, unknown] = [await ask(session), await ask('nix')]
    expect(bare(foreign)).toEqual(bare(unknown))
    expect([foreign.status, foreign.json.error.code]).toEqual([404, -32001])
    expect(
      (await proxy.post('/mcp/one', rpc('tools/list'), { ...as('a'), ...both, 'mcp-session-id': session })).status,
    ).toBe(200)
  })

  test('are not valid at another server', async () => {
    const session = await openSession('a')
    const answer = await proxy.post('/mcp/two', rpc('tools/list'), { ...as('a'), ...both, 'mcp-session-id': session })
    expect(answer.status).toBe(404)
  })

  test('end with DELETE, here and at the server', async () => {
    const session = await openSession('a')
    await until('only this session is open', () => v1.sessions === 1)
    expect(await raw('/mcp/one', { ...as('a'), 'mcp-session-id': session }, 'DELETE')).toBe(200)
    await until('no session is open', () => v1.sessions === 0)
    expect((await proxy.post('/mcp/one', rpc('ping'), { ...as('a'), ...both, 'mcp-session-id': session })).status).toBe(
      404,
    )
  })

  test('stay on the generation that they began on as long as it runs, and count there', async () => {
    const session = await openSession('a')
    const before = tables.servers.one ?? serverAt('one', v1.origin)
    const { generation, path } = before
    await using next = await openUpstream('v1-sessions')
    const draining = [{ generation, server: 'one', upstream: v1.origin, path }]
    proxy.use({ ...tables, servers: { ...tables.servers, one: serverAt('one', next.origin) }, draining })
    const call = rpc('tools/call', { name: 'echo', arguments: { text: 'still' } })
    expect((await proxy.post('/mcp/one', call, { ...as('a'), ...both, 'mcp-session-id': session })).text).toContain(
      'still',
    )
    expect(next.seen.some(({ body }) => body.includes('still'))).toBe(false)
    expect(proxy.gateway.sessions.count(generation)).toBe(1)
    proxy.use({ ...tables, servers: { ...tables.servers, one: serverAt('one', next.origin) } })
    expect((await proxy.post('/mcp/one', call, { ...as('a'), ...both, 'mcp-session-id': session })).status).toBe(200)
    expect(next.seen.some(({ body }) => body.includes('still'))).toBe(true)
  })
})

describe('revocation', () => {
  /** Opens the stream of a session; `ended` resolves when it ends. */
  async function openStream(agent: string): Promise<{ readonly ended: Promise<string> }> {
    const session = await openSession(agent)
    const headers = { ...as(agent), accept: 'text/event-stream', 'mcp-session-id': session }
    const response = await fetch(`${proxy.url}/mcp/one`, { headers })
    expect(response.status).toBe(200)
    return { ended: response.text().catch(() => 'broken off') }
  }

  test('ends an open stream and the calls of the agent, and of nobody else', async () => {
    const [stream, other] = [await openStream('a'), await openStream('b')]
    const waiting = [
      proxy.post('/mcp', rpc('tools/call', { name: 'one__wait' }), as('a')),
      proxy.post('/mcp/one', rpc('tools/call', { name: 'wait' }), as('a')),
    ]
    await until('both calls are on their way', () => v1.seen.filter(({ body }) => body.includes('"wait"')).length === 2)
    const { a: _, ...rest } = tables.agents
    proxy.use({ ...tables, agents: rest })
    expect(await stream.ended).toBe('')
    for (const answer of await Promise.all(waiting)) expect(answer.json.error.message).toContain('taken away')
    expect((await proxy.post('/mcp', rpc('ping'), as('a'))).status).toBe(401)
    const still = new Promise((done) => setImmediate(() => done('still open')))
    expect(await Promise.race([other.ended, still])).toBe('still open')
  })

  test('of a server ends its streams and sessions, at the server too', async () => {
    const stream = await openStream('a')
    proxy.use({ ...tables, agents: { ...tables.agents, a: agentWith('a', { two: wholeGrant }) } })
    expect(await stream.ended).toBe('')
    await until('the session is ended at its server', () => v1.sessions === 0)
    expect((await proxy.post('/mcp/one', rpc('ping'), as('a'))).status).toBe(404)
  })

  test('of a tool ends a call of it', async () => {
    const waiting = proxy.post('/mcp', rpc('tools/call', { name: 'one__wait' }), as('a'))
    await until('the call is on its way', () => v1.seen.some(({ body }) => body.includes('"wait"')))
    proxy.use({ ...tables, agents: { ...tables.agents, a: agentWith('a', { one: onlyEcho }) } })
    expect((await waiting).json.error.message).toContain('taken away')
  })
})

describe('what is written down', () => {
  test('one line a call, without arguments, results or tokens', async () => {
    await proxy.post('/mcp', rpc('tools/call', { name: 'two__echo', arguments: { text: 'private words' } }), as('a'))
    await proxy.post('/mcp/one', rpc('tools/call', { name: 'echo', arguments: { text: 'private words' } }), as('b'))
    const calls = proxy.lines.filter(({ msg }) => msg === 'call')
    expect(calls).toMatchObject([
      {
        agent: 'a',
        server: 'two',
        tool: 'echo',
        outcome: 'ok',
        duration: expect.any(Number),
        bytes: expect.any(Number),
      },
      { agent: 'b', server: 'one', tool: 'echo', outcome: 'ok' },
    ])
    expect(JSON.stringify(proxy.lines)).not.toContain('private words')
    expect(JSON.stringify(proxy.lines)).not.toContain('token-of')
  })
})
