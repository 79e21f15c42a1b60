import { join } from 'node:path'
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { callers, openStream } from '../support/clients.ts'
import { connectV2 } from '../support/mcp-clients.ts'
import { agentWith, as, openProxy, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { ask, initialize, messagesOf, oddProgram, textOf, type Wrapped, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

const program = join(import.meta.dirname, '../support/sdk-program.ts')
const start = (kind: 'v1' | 'v2' | 'v2-strict') => wrap([process.execPath, program, kind])

const version = '2026-07-28'
const meta = (more: object = {}) => ({
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientCapabilities': {},
  ...more,
})

interface Modern {
  readonly body: object
  readonly headers: Readonly<Record<string, string>>
}

/** A modern request and its headers. */
function modern(method: string, params: Record<string, unknown> = {}, more: object = {}): Modern {
  const name = params.name ?? params.uri
  const body = { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta() }, ...more }
  const named: Record<string, string> = typeof name === 'string' ? { 'mcp-name': name } : {}
  return { body, headers: { 'mcp-protocol-version': version, 'mcp-method': method, ...named } }
}

const send = (wrapped: Wrapped, { body, headers }: Modern, signal?: AbortSignal) =>
  wrapped.send('POST', body, headers, signal)

describe.each(['v1', 'v2', 'v2-strict'] as const)('behind the proxy, a program of %s', (kind) => {
  async function proxyOf(wrapped: Wrapped) {
    const proxy = await openProxy()
    onTestFinished(() => proxy[Symbol.asyncDispose]())
    proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', wrapped.origin) } })
    return proxy
  }

  test('is called by every client that can be at /mcp, and by those of its era at /mcp/<server>', async () => {
    const wrapped = await start(kind)
    const proxy = await proxyOf(wrapped)
    await until('the proxy knows it', () => proxy.gateway.probes.known(serverAt('s', wrapped.origin).generation))
    for (const caller of ['v1', 'v2', 'curl'] as const) {
      await using joint = await callers[caller](`${proxy.url}/mcp`, tokenOf('a'))
      expect(await joint.tools()).toContain('s__echo')
      expect(await joint.call('s__echo', { text: `hi ${caller}` })).toBe(`hi ${caller}`)
      if (kind === 'v2-strict' && caller === 'v1') continue
      await using own = await callers[caller](`${proxy.url}/mcp/s`, tokenOf('a'))
      expect(await own.call('echo', { text: `ho ${caller}` })).toBe(`ho ${caller}`)
    }
    if (kind === 'v1') return
    const pinned = await connectV2('modern')(`${proxy.url}/mcp/s`, as('a'))
    expect(await pinned.listTools()).toContain('echo')
    await pinned.close()
  })
})

test('(F10) a program that tells of changes is heard beside all sessions of clients, while somebody listens', async () => {
  const wrapped = await wrap(oddProgram(), { sessions: 1 })
  await using proxy = await openProxy()
  const s = serverAt('s', wrapped.origin)
  const grants = { a: agentWith('a', { s: wholeGrant }) }
  proxy.use({ agents: grants, servers: { s } })
  await until('the proxy knows it', () => proxy.gateway.probes.probe(s.generation)?.ok)
  expect(wrapped.programs()).toHaveLength(1)
  const { ended } = await openStream(`${proxy.url}/mcp`, tokenOf('a'))
  await until('it is heard', () => wrapped.programs().length === 2)
  await using client = await callers.curl(`${proxy.url}/mcp`, tokenOf('a'))
  expect(await client.call('s__echo', { value: 'hi' })).toBe('hi')
  expect(wrapped.programs()).toHaveLength(3)
  proxy.use({ servers: { s } })
  expect(await ended).toBe('ended')
  await until('the one for probes is left', () => wrapped.programs().length === 1)
})

describe('a program of the modern era', () => {
  test('is one for all clients, whose ids and progress tokens stay their own', async () => {
    const wrapped = await start('v2-strict')
    const token = '12345678901234567890'
    const params = { name: 'count', arguments: {}, _meta: meta({ progressToken: token }) }
    const request = {
      ...modern('tools/call', { name: 'count' }),
      body: { jsonrpc: '2.0', id: 'same', method: 'tools/call', params },
    }
    const calls = Array.from({ length: 10 }, () => send(wrapped, request))
    for (const { messages, json } of await Promise.all(calls)) {
      expect(messages.slice(0, -1).map(({ params }) => [params.progressToken, params.progress])).toEqual(
        [1, 2, 3].map((step) => [token, step]),
      )
      expect(json).toMatchObject({ id: 'same', result: { resultType: 'complete', content: [{ text: 'counted' }] } })
    }
    expect(wrapped.programs()).toHaveLength(1)
  })

  test('asks a person through the client, without a session', async () => {
    const wrapped = await start('v2-strict')
    const client = new ModernClient(
      { name: 'test', version: '1' },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: { pin: version } } },
    )
    await client.connect(new ModernTransport(new URL(wrapped.endpoint)))
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('list')
    expect(await client.callTool({ name: 'list', arguments: {} })).toMatchObject({ structuredContent: [1, 2] })
    await client.close()
  })

  test('is told when a client hangs up, and goes on for the others', async () => {
    const wrapped = await start('v2')
    const leaving = new AbortController()
    const waiting = send(wrapped, modern('tools/call', { name: 'wait', arguments: {} }), leaving.signal)
    await until('it waits', () => wrapped.log().includes('waiting'))
    leaving.abort()
    await expect(waiting).rejects.toThrow()
    await until('it was told', () => wrapped.log().includes('cancelled'))
    expect((await send(wrapped, modern('tools/list'))).json.result.tools.length).toBeGreaterThan(3)
  })

  test('tells of changes on the stream of who listens, under the id that this one gave', async () => {
    const wrapped = await start('v2')
    const { body, headers } = modern('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 77 })
    const response = await fetch(wrapped.endpoint, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    })
    let text = ''
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
    })().catch(() => {})
    await until('it is acknowledged', () => text.includes('acknowledged'))
    await send(wrapped, modern('tools/call', { name: 'grow', arguments: {} }))
    await until('it is told', () => text.includes('list_changed'))
    for (const message of messagesOf(text))
      expect(message).toMatchObject({ params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 77 } } })
    await wrapped.kill('SIGTERM')
    await reading
    expect(wrapped.programs()).toEqual([])
  })

  test('that dies is told to everybody who waits, and started again for the next', async () => {
    const wrapped = await start('v2')
    const waiting = send(wrapped, modern('tools/call', { name: 'wait', arguments: {} }))
    await until('it waits', () => wrapped.log().includes('waiting'))
    for (const pid of wrapped.programs()) process.kill(pid, 'SIGKILL')
    const { status, json } = await waiting
    expect([status, json.id, json.error.code]).toEqual([200, 1, -32603])
    expect(json.error.message).toContain('the program ended by itself (killed by SIGKILL)')
    expect((await send(wrapped, modern('tools/list'))).status).toBe(200)
  })

  test.for([
    ['a method that there is not', modern('no/such'), 404, -32601],
    ['a method that there is no more', modern('ping'), 404, -32601],
    ['another version', { ...modern('tools/list'), headers: { 'mcp-method': 'tools/list' } }, 400, -32020],
    ['another method in the header', { ...modern('tools/list'), headers: { ...modern('ping').headers } }, 400, -32020],
    [
      'another name in the header',
      { ...modern('tools/call', { name: 'echo' }), headers: modern('tools/call', { name: 'x' }).headers },
      400,
      -32020,
    ],
  ] as const)('refuses %s', async ([, request, status, code]) => {
    const wrapped = await start('v2')
    const answered = await send(wrapped, request)
    expect([answered.status, answered.json.error.code, answered.json.id]).toEqual([status, code, 1])
  })

  test('serves legacy clients too, each with a program of its own', async () => {
    const wrapped = await start('v2')
    await send(wrapped, modern('tools/list'))
    const session = await wrapped.open()
    expect((await session.call('echo', { text: 'hi' })).json.result.content).toEqual([{ type: 'text', text: 'hi' }])
    expect(wrapped.programs()).toHaveLength(2)
  })
})

describe('a program of the legacy era', () => {
  test('is given arguments as they are, be they of the wrong kind, and its own words about them are passed on', async () => {
    const session = await (await start('v1')).open()
    const refused = await session.call('echo', { text: 5 })
    expect([refused.status, refused.json.result.isError]).toEqual([200, true])
    expect(textOf(refused)).toMatch(/-32602.*expected string, received number/is)
    expect(textOf(await session.call('echo', { text: '5' }))).toBe('5')
  })

  test('says once that it does not speak the modern one, and is not started for that again', async () => {
    const wrapped = await start('v1')
    for (let time = 0; time < 3; time++) {
      const { status, json } = await send(wrapped, modern('server/discover'))
      expect([status, json.error.code]).toEqual([400, -32000])
    }
    await until('its program is gone', () => wrapped.log().includes('was ended: it does not speak 2026-07-28'))
    expect(wrapped.log().match(/was ended/g)).toHaveLength(1)
    expect(wrapped.programs()).toEqual([])
  })

  test('that does not answer what it does not know is not waited for again', async () => {
    const wrapped = await wrap(oddProgram('--ignores'))
    const began = Date.now()
    const discover = () => send(wrapped, modern('server/discover'), AbortSignal.timeout(5_000))
    expect((await discover()).status).toBe(400)
    const first = Date.now() - began
    expect((await discover()).status).toBe(400)
    expect(Date.now() - began - first).toBeLessThan(first)
    expect(textOf(await (await wrapped.open()).call('echo', { value: 'hi' }))).toBe('hi')
  })

  test('is asked for its envelope where only the header is modern', async () => {
    const wrapped = await start('v1')
    const bare = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    const { status, json } = await wrapped.send('POST', bare, { 'mcp-protocol-version': version })
    expect([status, json.error.code]).toEqual([400, -32602])
    expect(
      (await ask(wrapped.endpoint, { method: 'POST', body: initialize(), headers: {}, signal: undefined })).status,
    ).toBe(200)
  })
})
