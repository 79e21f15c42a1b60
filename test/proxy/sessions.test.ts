import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let old: Upstream
let fresh: Upstream
const both = { old: wholeGrant, fresh: wholeGrant }
const agents = { a: agentWith('a', both), b: agentWith('b', both) }
beforeEach(async () => {
  proxy = await openProxy()
  old = await openUpstream('v1-sessions')
  fresh = await openUpstream('v2-strict')
  proxy.use({ agents, servers: servers() })
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
  await fresh[Symbol.asyncDispose]()
})
const servers = () => ({ old: serverAt('old', old.origin), fresh: serverAt('fresh', fresh.origin) })

interface Asked {
  readonly messages: string[]
  readonly client: LegacyClient
}

async function legacy(agent = 'a'): Promise<Asked & AsyncDisposable> {
  const messages: string[] = []
  const client = new LegacyClient({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    messages.push(params.message)
    return { action: 'accept', content: { name: 'Ann' } }
  })
  await client.connect(new LegacyTransport(new URL(`${proxy.url}/mcp`), { requestInit: { headers: as(agent) } }))
  return { messages, client, [Symbol.asyncDispose]: () => client.close() }
}

const textOf = (answer: unknown) => JSON.stringify(answer)

describe('a server asks a person through the joint endpoint', () => {
  test.each([
    ['old__ask', 'hello {\\"action\\":\\"accept\\",\\"content\\":{\\"name\\":\\"Ann\\"}}', 'old: name?'],
    ['fresh__form', 'hello Ann, state of the server', 'fresh: name?'],
  ])('by a legacy client: %s', async (name, said, question) => {
    await using session = await legacy()
    expect(JSON.stringify(await session.client.callTool({ name }))).toContain(
      JSON.stringify(said).slice(1, -1).replaceAll('\\\\\\"', '\\"'),
    )
    expect(session.messages).toEqual([question])
  })

  test('by a modern client', async () => {
    const client = new ModernClient(
      { name: 'test', version: '1' },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
    )
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ann' } }))
    await client.connect(new ModernTransport(new URL(`${proxy.url}/mcp`), { requestInit: { headers: as('a') } }))
    expect(textOf(await client.callTool({ name: 'fresh__form', arguments: {} }))).toContain(
      'hello Ann, state of the server',
    )
    await client.close()
  })

  test('and is told so where it cannot', async () => {
    for (const name of ['old__ask', 'fresh__form']) {
      const { text } = await proxy.post('/mcp', rpc('tools/call', { name }), as('a'))
      expect(text).toMatch(/elicitation|asks for input/)
    }
  })
})

const version = '2026-07-28'
const meta = (capabilities: object = { elicitation: {} }) => ({
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientCapabilities': capabilities,
})

async function form(agent: string, more: Record<string, unknown> = {}) {
  const headers = {
    ...as(agent),
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': version,
    'mcp-method': 'tools/call',
    'mcp-name': 'fresh__form',
  }
  const params = { name: 'fresh__form', arguments: {}, _meta: meta(), ...more }
  return proxy.post('/mcp', rpc('tools/call', params), headers)
}

describe('what a server wants back', () => {
  const inputResponses = { who: { action: 'accept', content: { name: 'Ann' } } }

  test('is sealed, and good for its agent and its request alone', async () => {
    const { result } = (await form('a')).json
    expect(result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { who: { method: 'elicitation/create' } },
    })
    const { requestState } = result
    expect(requestState).not.toContain('state of the server')
    expect(textOf((await form('a', { inputResponses, requestState })).json)).toContain('state of the server')
    const tampered = `${requestState.slice(0, -2)}${requestState.endsWith('AA') ? 'BB' : 'AA'}`
    for (const answer of [
      await form('b', { inputResponses, requestState }),
      await form('a', { inputResponses, requestState, arguments: { other: true } }),
      await form('a', { inputResponses, requestState: tampered }),
    ])
      expect(answer.json.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') })
  })

  test('is refused before anything is asked where the client offers nothing', async () => {
    const answer = await form('a', { _meta: meta({}) })
    expect([answer.status, answer.json.error.code]).toEqual([400, -32021])
    expect(answer.json.error.data.requiredCapabilities).toMatchObject({ elicitation: {} })
  })
})

describe('a session at the joint endpoint', () => {
  async function begin(agent = 'a') {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
    const { headers } = await proxy.post('/mcp', rpc('initialize', params), as(agent))
    return { ...as(agent), 'mcp-session-id': headers.get('mcp-session-id') ?? expect.fail('no session') }
  }
  const stream = (headers: Record<string, string>, signal: AbortSignal) =>
    fetch(`${proxy.url}/mcp`, { headers: { accept: 'text/event-stream', ...headers }, signal })

  test('is nobody else’s, and gone when it is ended', async () => {
    const mine = await begin()
    expect((await proxy.post('/mcp', rpc('ping'), { ...mine, ...as('b') })).status).toBe(404)
    expect((await fetch(`${proxy.url}/mcp`, { method: 'DELETE', headers: mine })).status).toBe(204)
    expect((await proxy.post('/mcp', rpc('ping'), mine)).json.error).toMatchObject({ code: -32001 })
  })

  test('has one stream, for whoever takes one', async () => {
    const mine = await begin()
    using stop = new Stop()
    const first = await stream(mine, stop.signal)
    expect([first.status, first.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    expect((await stream(mine, stop.signal)).status).toBe(409)
    expect((await stream({ ...mine, accept: 'application/json' }, stop.signal)).status).toBe(406)
    expect((await stream({ ...mine, 'last-event-id': 'x' }, stop.signal)).status).toBe(400)
  })

  test('ends with its agent', async () => {
    const mine = await begin()
    using stop = new Stop()
    const open = await stream(mine, stop.signal)
    proxy.use({ agents: { b: agents.b }, servers: servers() })
    await expect(open.text()).resolves.toContain('retry:')
    proxy.use({ agents, servers: servers() })
    expect((await proxy.post('/mcp', rpc('ping'), mine)).status).toBe(404)
  })

  test('gets what it missed when it comes back', async () => {
    const mine = await begin()
    await until('the tools are known', () => proxy.gateway.probes.known(servers().old.generation))
    using gone = new Stop()
    const open = await stream(mine, gone.signal)
    const [, id = ''] = /^id: (.+)$/m.exec(new TextDecoder().decode((await open.body?.getReader().read())?.value)) ?? []
    gone.stop()
    await until('it is gone', () => !proxy.gateway.hosting.find(mine['mcp-session-id'], 'a')?.standing.isOpen)
    proxy.use({ agents: { a: agentWith('a', { old: wholeGrant }) }, servers: servers() })
    using stop = new Stop()
    const again = await stream({ ...mine, 'last-event-id': id }, stop.signal)
    const reader = again.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('notifications/tools/list_changed')
  })

  test('can cancel a call by its id', async () => {
    const mine = await begin()
    const call = proxy.post('/mcp', rpc('tools/call', { name: 'old__wait' }, 'w'), mine)
    await until('the call is on its way', () => old.seen.some((one) => one.body.includes('"wait"')))
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'w' } }
    expect((await proxy.post('/mcp', cancel, mine)).status).toBe(202)
    expect((await call).json.error.message).toContain('cancelled')
    await until('the server is told', () => old.seen.some((one) => one.body.includes('notifications/cancelled')))
  })
})

class Stop implements Disposable {
  readonly #controller = new AbortController()
  readonly signal = this.#controller.signal
  stop(): void {
    this.#controller.abort()
  }
  [Symbol.dispose](): void {
    this.stop()
  }
}

describe('a client that wants to hear more', () => {
  const ready = () =>
    until('both are known', () =>
      Object.values(servers()).every(({ generation }) => proxy.gateway.probes.known(generation)),
    )

  test.each(['old', 'fresh'] as const)('hears of a resource of %s that changed', async (name) => {
    await ready()
    await using session = await legacy()
    const updated: string[] = []
    session.client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updated.push(params.uri),
    )
    const uri = `${name}+demo://one`
    await session.client.subscribeResource({ uri })
    const upstream = { old, fresh }[name]
    await until('it is told', () => {
      upstream.update('demo://one')
      return updated.includes(uri)
    })
    await session.client.unsubscribeResource({ uri })
    const count = updated.length
    upstream.update('demo://one')
    await session.client.ping()
    expect(updated.length).toBe(count)
    await expect(session.client.subscribeResource({ uri: 'nobody+demo://one' })).rejects.toThrow('Resource not found')
  })

  test('hears no more of what is no longer granted', async () => {
    await ready()
    await using session = await legacy()
    const updated: string[] = []
    session.client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updated.push(params.uri),
    )
    await session.client.subscribeResource({ uri: 'fresh+demo://one' })
    await session.client.subscribeResource({ uri: 'old+demo://one' })
    proxy.use({ agents: { a: agentWith('a', { old: wholeGrant }) }, servers: servers() })
    await until('the other is told', () => {
      fresh.update('demo://one')
      old.update('demo://one')
      return updated.length > 2
    })
    expect(new Set(updated)).toEqual(new Set(['old+demo://one']))
  })

  test.each(['old', 'fresh'] as const)('in the newer era, of %s too', async (name) => {
    await ready()
    const listen = listenModern('a', { resourceSubscriptions: [`${name}+demo://one`, 'nobody+demo://one'] })
    await until('it is acknowledged', () => listen.said.includes('acknowledged'))
    expect(listen.said).toContain(`"resourceSubscriptions":["${name}+demo://one"]`)
    await until('it is told', () => {
      ;({ old, fresh })[name].update('demo://one')
      return listen.said.includes('notifications/resources/updated')
    })
    expect(listen.said).toContain(`"uri":"${name}+demo://one","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}`)
  })

  test('hears what a server logs in the levels that it wants', async () => {
    await ready()
    await using session = await legacy()
    const heard: unknown[] = []
    session.client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(params))
    await session.client.setLoggingLevel('error')
    await until('the server knows', async () => {
      await session.client.callTool({ name: 'old__talk' })
      return old.seen.some(({ body }) => body.includes('logging/setLevel')) && heard.length > 0
    })
    heard.length = 0
    await session.client.callTool({ name: 'old__talk' })
    await until('it is heard', () => heard.length > 0)
    expect(heard).toEqual([{ level: 'error', logger: 'old/db', data: 'error' }])
    await expect(proxy.post('/mcp', rpc('logging/setLevel', { level: 'error' }), as('a'))).resolves.toMatchObject({
      json: { error: { code: -32601 } },
    })
  })
})

function listenModern(agent: string, notifications: object = { toolsListChanged: true }) {
  const heard = { said: '' }
  const headers = {
    ...as(agent),
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': version,
    'mcp-method': 'subscriptions/listen',
  }
  const body = JSON.stringify(rpc('subscriptions/listen', { notifications, _meta: meta() }, 'l'))
  void fetch(`${proxy.url}/mcp`, { method: 'POST', headers, body })
    .then(async ({ body: stream }) => {
      for await (const chunk of stream?.pipeThrough(new TextDecoderStream()) ?? []) heard.said += chunk
    })
    .catch(() => undefined)
  return heard
}

describe('a change', () => {
  test('reaches exactly those whose view changed (F10)', async () => {
    await until('both are known', () =>
      Object.values(servers()).every(({ generation }) => proxy.gateway.probes.known(generation)),
    )
    const changed: string[] = []
    const watch = async (agent: string) => {
      const session = await legacy(agent)
      session.client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changed.push(agent))
      const id = await until('its stream is open', () => proxy.gateway.hosting.open !== undefined)
      return { session, id }
    }
    const [a, b] = [await watch('a'), await watch('b')]
    const listen = listenModern('b')
    await until('a modern client listens', () => listen.said.includes('acknowledged'))
    proxy.use({ agents: { ...agents, b: agentWith('b', { old: wholeGrant }) }, servers: servers() })
    await until('b is told', () => changed.includes('b') && listen.said.includes('tools/list_changed'))
    expect(changed).toEqual(['b'])
    expect(listen.said).toContain('"io.modelcontextprotocol/subscriptionId":"l"')
    proxy.use({ agents: { a: agents.a }, servers: servers() })
    await until('it ends with a result', () => listen.said.includes('"resultType":"complete"'))
    await a.session[Symbol.asyncDispose]()
    await b.session[Symbol.asyncDispose]()
  })
})
