import fc from 'fast-check'
import { Pool } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { oddText, runs } from '../support/property.ts'
import { agentWith, as, type OpenProxy, openProxy, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { mustBeWellAnswered, type Sent } from '../support/well-answered.ts'
import { enter } from '../support/wire.ts'

let proxy: OpenProxy
let old: RawServer
let fresh: RawServer
let pool: Pool
let session = ''
beforeAll(async () => {
  proxy = await openProxy()
  const options = {
    tools: { echo: () => textResult('echo') },
    capabilities: { prompts: {}, resources: {}, completions: {} },
    methods: {
      'prompts/list': () => ({ prompts: [{ name: 'p' }] }),
      'prompts/get': () => ({ messages: [] }),
      'resources/list': () => ({ resources: [{ uri: 'demo://one', name: 'one' }] }),
      'resources/read': () => ({ contents: [] }),
      'completion/complete': () => ({ completion: { values: [] } }),
    },
  }
  ;[old, fresh] = [
    await openRawServer({ era: 'legacy', ...options }),
    await openRawServer({ era: 'modern', ...options }),
  ]
  const servers = {
    old: serverAt('old', old.origin, { timeout: 3_000 }),
    new: serverAt('new', fresh.origin, { timeout: 3_000 }),
  }
  const narrow = { tools: ['e*'], prompts: ['p'], resources: ['demo://*'] }
  proxy.use({ agents: { a: agentWith('a', { old: wholeGrant, new: narrow }) }, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation)),
  )
  session = String((await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'a' })).headers['mcp-session-id'])
  pool = new Pool(proxy.url, { connections: 4, bodyTimeout: 15_000, headersTimeout: 15_000 })
})
afterAll(async () => {
  await pool.close()
  for (const one of [proxy, old, fresh]) await one[Symbol.asyncDispose]()
})

const isWellAnswered = (sent: Sent) => mustBeWellAnswered(pool, sent, tokenOf('a'))

async function isWell(): Promise<void> {
  await until('nothing is left over', () => proxy.gateway.exchanges.size === 0)
  expect(proxy.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
  const headers = { ...as('a'), 'content-type': 'application/json' }
  await isWellAnswered({ path: '/mcp', method: 'POST', headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' })
}

const methods = [
  ...[
    'initialize',
    'ping',
    'server/discover',
    'tools/list',
    'tools/call',
    'prompts/list',
    'prompts/get',
    'resources/list',
  ],
  ...[
    'resources/read',
    'resources/subscribe',
    'completion/complete',
    'logging/setLevel',
    'notifications/cancelled',
    'toString',
  ],
]
const odd = fc.oneof(
  fc.jsonValue(),
  oddText,
  fc.constantFrom<unknown[]>(null, 0, -0, '', [], {}, 1e300, '__proto__', '\ud800'),
)
const meta = fc.oneof(
  odd,
  fc.record({
    'io.modelcontextprotocol/protocolVersion': fc.oneof(fc.constant('2026-07-28'), odd),
    'io.modelcontextprotocol/clientCapabilities': fc.oneof(fc.constant({}), odd),
    progressToken: odd,
  }),
)
const params = fc.record(
  {
    name: fc.oneof(fc.constantFrom('old__echo', 'new__echo', 'echo', 'p', 'old__p'), odd),
    uri: fc.oneof(fc.constantFrom('old+demo://one', 'demo://one', 'https://x/y'), odd),
    arguments: odd,
    cursor: odd,
    level: odd,
    ref: fc.oneof(
      odd,
      fc.record(
        { type: fc.constantFrom('ref/prompt', 'ref/resource', 'x'), name: odd, uri: odd },
        { requiredKeys: [] },
      ),
    ),
    requestId: odd,
    requestState: odd,
    inputResponses: odd,
    protocolVersion: odd,
    capabilities: odd,
    clientInfo: odd,
    _meta: meta,
  },
  { requiredKeys: [] },
)
const message = fc.record(
  {
    jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, odd),
    id: fc.oneof({ weight: 4, arbitrary: fc.constantFrom<unknown[]>(0, 1, '', 'x', -1, 1.5, 1e21) }, odd),
    method: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...methods) }, odd),
    params: fc.oneof({ weight: 9, arbitrary: params }, odd),
    result: odd,
    error: odd,
  },
  { requiredKeys: ['jsonrpc'] },
)
/** Written as others write it: with room, escapes, keys twice, cut off, or nested very deep. */
const written = fc
  .tuple(
    fc.oneof(message, fc.array(message, { maxLength: 5 }), fc.array(message, { minLength: 99, maxLength: 102 }), odd),
    fc.nat(40),
    fc.nat(),
  )
  .map(([value, how, at]) => {
    const text = JSON.stringify(value) ?? ''
    if (how === 0) return text.slice(0, at % (text.length + 1))
    if (how === 1) return `\ufeff${text}`
    if (how === 2) return JSON.stringify(value, undefined, '\t') ?? ''
    if (how === 3) return text.replaceAll(/[a-z]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
    if (how === 4) return text.replace('{', '{"id":7,"method":"tools/call",')
    if (how === 5)
      return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${'['.repeat(at % 50_000)}`
    const deep = at % 20_000
    const nested = `${'{"a":['.repeat(deep)}1${']}'.repeat(deep)}`
    if (how === 6)
      return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"old__echo","arguments":${nested}}}`
    if (how === 7) return `{"jsonrpc":"2.0","id":1,"method":"ping","params":${nested}}`
    if (how === 8)
      return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"requestState":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"name":"new__echo","arguments":${nested}}}`
    if (how === 9) return `{"jsonrpc":"2.0","id":"${'x'.repeat(at % 5_000_000)}","method":"ping"}`
    return text
  })
const body = fc.oneof(
  { weight: 12, arbitrary: written },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
)
const path = fc.constantFrom('/mcp', '/mcp/', '/mcp/old', '/mcp/new', '/mcp/new/', '/mcp/absent')

test('any body is answered well, in either era, with and without a session', { timeout: 120_000 }, async () => {
  const how = fc.constantFrom<Readonly<Record<string, string>>[]>(
    {},
    { accept: 'application/json, text/event-stream' },
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'new__echo' },
    {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      accept: 'text/event-stream',
    },
    { 'mcp-session-id': 'SESSION', accept: 'application/json, text/event-stream' },
  )
  await fc.assert(
    fc.asyncProperty(path, how, body, async (where, more, text) => {
      const headers = { ...as('a'), 'content-type': 'application/json', ...more }
      if (more['mcp-session-id'] !== undefined) Object.assign(headers, { 'mcp-session-id': session })
      await isWellAnswered({ path: where, method: 'POST', headers, body: text })
    }),
    runs(500),
  )
  await isWell()
})

const visible = oddText.map((text) => text.replaceAll(/[^\t\x20-\x7e]/g, '').trim())
const headerValues: Readonly<Record<string, readonly string[]>> = {
  'mcp-protocol-version': ['2026-07-28', '2025-11-25', '2025-06-18', '2024-11-05', 'v999', '', ' 2026-07-28 '],
  'mcp-method': [...methods, 'Tools/Call', ''],
  'mcp-name': ['echo', 'new__echo', '=?base64?ZWNobw==?=', '=?base64?ZWNobw?=', '=?base64??='],
  'mcp-param-region': ['x', '', '=?base64?eA==?='],
  'mcp-session-id': ['SESSION', 'unknown', ''],
  'last-event-id': ['0_0', '1_1', 'x', '9_9999999999999999999'],
  accept: ['application/json', 'text/event-stream', '*/*', 'text/html', '', 'application/json, text/event-stream'],
  'content-type': [
    'application/json',
    'application/json; charset=utf-8',
    'text/plain',
    '',
    'application/x-www-form-urlencoded',
    ';',
  ],
  authorization: [`Bearer ${tokenOf('a')}`, `bearer  ${tokenOf('a')} `, 'Bearer', 'Basic eDp5', ''],
  origin: ['http://localhost', 'null', 'http://evil.example.com', 'x', ''],
  via: ['1.1 commons-gateway-0', '1.1 nginx', ',', 'x'],
  'x-session-id': ['x'],
}
const headers = fc.record(
  Object.fromEntries(
    Object.entries(headerValues).map(([name, values]) => [
      name,
      fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: visible }),
    ]),
  ),
  { requiredKeys: [] },
)
const plausible = fc.constantFrom(
  '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"new__echo","arguments":{}}}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}',
  '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"f","version":"1"}}}',
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","id":1,"result":{}}',
  '',
)

test('any mixture of headers and methods is answered well', { timeout: 120_000 }, async () => {
  const method = fc.oneof(
    { weight: 5, arbitrary: fc.constant('POST') },
    fc.constantFrom('GET', 'DELETE', 'PUT', 'HEAD', 'PATCH', 'OPTIONS'),
  )
  const credential = fc.constantFrom(as('a'), as('a'), as('a'), {})
  await fc.assert(
    fc.asyncProperty(path, method, headers, credential, plausible, async (where, verb, given, own, text) => {
      const all: Record<string, string> = { 'content-type': 'application/json', ...own, ...given }
      // Its end would leave the others without a session.
      if (all['mcp-session-id'] === 'SESSION' && verb !== 'DELETE') all['mcp-session-id'] = session
      const sent = verb === 'GET' || verb === 'HEAD' ? undefined : text
      await isWellAnswered({ path: where, method: verb, headers: all, body: sent })
    }),
    runs(800),
  )
  await isWell()
})
