import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter, messagesOf } from '../support/wire.ts'

const sealKey = Buffer.alloc(32, 7)
const secret = 'state of the server'
const form = {
  method: 'elicitation/create',
  params: { mode: 'form', message: 'name?', requestedSchema: { type: 'object' } },
}

/** Wants an answer and a state back, of every method that may, as one body and as a stream. */
const wanting = ({ params }: { readonly params: Readonly<Record<string, unknown>> }) =>
  params.requestState === undefined
    ? { resultType: 'input_required', inputRequests: { who: form }, requestState: secret }
    : { resultType: 'complete', ...textResult(`got ${String(params.requestState)}`), contents: [], messages: [] }

let proxy: OpenProxy
let second: OpenProxy
let modern: RawServer
let legacy: Upstream
beforeEach(async () => {
  modern = await openRawServer({
    era: 'modern',
    tools: { want: wanting },
    capabilities: { prompts: {}, resources: {} },
    methods: { 'prompts/get': wanting, 'resources/read': wanting },
  })
  legacy = await openUpstream('v1-sessions')
  ;[proxy, second] = [await openProxy({ sealKey }), await openProxy({ sealKey })]
  const servers = { new: serverAt('new', modern.origin), old: serverAt('old', legacy.origin) }
  const grants = { new: wholeGrant, old: wholeGrant }
  for (const one of [proxy, second]) {
    one.use({ agents: { a: agentWith('a', grants), b: agentWith('b', grants) }, servers })
    await until('both are known', () =>
      Object.values(servers).every(({ generation }) => one.gateway.probes.known(generation)),
    )
  }
})
afterEach(async () => {
  vi.useRealTimers()
  for (const one of [proxy, second, modern, legacy]) await one[Symbol.asyncDispose]()
})

const capabilities = { elicitation: {} }
const inputResponses = { who: { action: 'accept', content: { name: 'Ann' } }, r1: { action: 'accept', content: {} } }
async function ask(
  method: string,
  params: object,
  { at, agent = 'a', path }: { at?: OpenProxy; agent?: string; path: string },
) {
  const way = await enter(at ?? proxy, { path, era: 'modern', agent, capabilities })
  return answerTo(way, method, { ...params }, 'handle')
}

const cases = [
  ['/mcp', 'tools/call', { name: 'new__want', arguments: {} }, { name: 'new__want', arguments: { x: 1 } }],
  ['/mcp', 'prompts/get', { name: 'new__p' }, { name: 'new__q' }],
  ['/mcp', 'resources/read', { uri: 'new+demo://1' }, { uri: 'new+demo://2' }],
  ['/mcp/new', 'tools/call', { name: 'want', arguments: {} }, { name: 'want', arguments: { x: 1 } }],
  ['/mcp/new', 'prompts/get', { name: 'p' }, { name: 'q' }],
  ['/mcp/new', 'resources/read', { uri: 'demo://1' }, { uri: 'demo://2' }],
] as const

describe.each(cases)('(F7) the state of a modern server at %s, %s,', (path, method, params, others) => {
  test('is sealed, and good for its agent and its request alone, at any proxy of the instance', async () => {
    const { result, id } = await ask(method, params, { path })
    expect([id, result?.resultType, result?.inputRequests]).toMatchObject(['handle', 'input_required', { who: {} }])
    const requestState = String(result?.requestState)
    expect(requestState).not.toContain(secret)
    expect(Buffer.from(requestState, 'base64url').toString()).not.toContain(secret)
    const back = { ...params, requestState, inputResponses }
    const bad = { code: -32602, message: expect.stringContaining('requestState') }
    const before = modern.seen.length
    expect((await ask(method, back, { path, agent: 'b' })).error).toMatchObject(bad)
    expect((await ask(method, { ...back, ...others }, { path })).error).toMatchObject(bad)
    expect((await ask(method, { ...back, requestState: secret }, { path })).error).toMatchObject(bad)
    expect((await ask(method, { ...back, requestState: 7 }, { path })).error).toMatchObject(bad)
    const cut = requestState.slice(0, -4)
    expect((await ask(method, { ...back, requestState: `${cut}AAAA` }, { path })).error).toMatchObject(bad)
    expect(modern.seen.slice(before).filter(({ body }) => body.includes(`"${method}"`))).toEqual([])
    const done = (await ask(method, back, { path, at: second })).result
    expect(JSON.stringify(done)).toContain(`got ${secret}`)
  })
})

test('(F7) a state is not good for ever', async () => {
  const params = { name: 'new__want', arguments: {} }
  const { result } = await ask('tools/call', params, { path: '/mcp' })
  vi.useFakeTimers({ now: Date.now() + 10 * 60_000 + 1, toFake: ['Date'] })
  const back = { ...params, requestState: result?.requestState, inputResponses }
  expect((await ask('tools/call', back, { path: '/mcp' })).error).toMatchObject({ code: -32602 })
})

test.each([
  ['/mcp', 'old__ask'],
  ['/mcp/old', 'ask'],
])('(F7) a call of a legacy server that waits for its client at %s waits for nobody else', async (path, name) => {
  const params = { name, arguments: {} }
  const { result } = await ask('tools/call', params, { path })
  const requestState = String(result?.requestState)
  expect(result).toMatchObject({
    resultType: 'input_required',
    inputRequests: { r1: { method: 'elicitation/create' } },
  })
  const back = { ...params, requestState, inputResponses }
  const bad = { code: -32602, message: expect.stringContaining('requestState') }
  expect((await ask('tools/call', back, { path, agent: 'b' })).error).toMatchObject(bad)
  expect((await ask('tools/call', { ...back, arguments: { x: 1 } }, { path })).error).toMatchObject(bad)
  expect((await ask('tools/call', back, { path })).result?.resultType).toBe('complete')
  expect((await ask('tools/call', back, { path })).error).toMatchObject(bad)
})

describe.each([
  ['/mcp', 'old__wait', 'old__ask'],
  ['/mcp/old', 'wait', 'ask'],
])('(F7) at %s another agent', (path, wait, askTool) => {
  test('cannot use, end or resume a session, nor cancel its calls', async () => {
    const mine = await enter(proxy, { path, era: 'legacy', agent: 'a', capabilities })
    const theirs = { ...mine.headers, ...as('b') }
    const unknown = { ...theirs, 'mcp-session-id': 'x'.repeat(32) }
    const call = askOf(mine, 'tools/call', { name: wait, arguments: {} }, 'w')
    await until('it is on its way', () => legacy.seen.some(({ body }) => body.includes('"wait"')))
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'w' } }
    for (const [method, body, more] of [
      ['POST', JSON.stringify(rpc('ping')), {}],
      ['POST', JSON.stringify(cancel), {}],
      ['GET', null, { accept: 'text/event-stream', 'last-event-id': '0_0' }],
      ['DELETE', null, {}],
    ] as const) {
      const [used, absent] = await Promise.all(
        [theirs, unknown].map((headers) => fetch(proxy.url + path, { method, body, headers: { ...headers, ...more } })),
      )
      expect([used?.status, await used?.text()]).toEqual([404, await absent?.text()])
    }
    expect(legacy.seen.some(({ body }) => body.includes('notifications/cancelled'))).toBe(false)
    expect(
      (await fetch(mine.url, { method: 'POST', headers: mine.headers, body: JSON.stringify(cancel) })).status,
    ).toBe(202)
    await until('its server is told', () => legacy.seen.some(({ body }) => body.includes('notifications/cancelled')))
    await call.then((response) => response.body?.cancel())
  })

  test('cannot answer what a server asks', async () => {
    const mine = await enter(proxy, { path, era: 'legacy', agent: 'a', capabilities })
    const listening = new AbortController()
    await fetch(mine.url, { headers: mine.headers, signal: listening.signal }).then(async ({ body }) => {
      const call = askOf(mine, 'tools/call', { name: askTool, arguments: {} }, 'c')
      const asked = await firstQuestion([body, (await call).body])
      const answer = (name: string) =>
        JSON.stringify({ jsonrpc: '2.0', id: asked.id, result: { action: 'accept', content: { name } } })
      const theirs = await enter(proxy, { path, era: 'legacy', agent: 'b', capabilities })
      const bodies = [theirs.headers, { ...mine.headers, ...as('b') }]
      for (const headers of bodies) await fetch(mine.url, { method: 'POST', headers, body: answer('Eve') })
      await fetch(mine.url, { method: 'POST', headers: mine.headers, body: answer('Ann') })
      const said = await asked.rest()
      expect(said).toContain('Ann')
      expect(said).not.toContain('Eve')
    })
    listening.abort()
  })
})

/** The first question on any of some streams, and what else comes on them until one ends. */
async function firstQuestion(streams: readonly (ReadableStream<Uint8Array> | null)[]) {
  let text = ''
  const ended = streams.map(async (stream) => {
    for await (const chunk of stream?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk
  })
  for (const one of ended) one.catch(() => undefined)
  const found = await until('it asks', () => messagesOf(text).find(({ method }) => method === 'elicitation/create'))
  return { id: found.id, rest: () => until('it answers', () => text.includes('hello') && text) }
}
