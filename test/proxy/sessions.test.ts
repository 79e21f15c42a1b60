import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { beforeEach, describe, expect, test } from 'vitest'
import { modernBody, modernHeaders, postModern } from '../support/modern.ts'
import { agentWith, as, rpc, wholeGrant } from '../support/proxy.ts'
import { twoErasForEachTest } from '../support/two-eras.ts'
import { until } from '../support/until.ts'

const both = { old: wholeGrant, fresh: wholeGrant }
const agents = { a: agentWith('a', both), b: agentWith('b', both) }
const at = twoErasForEachTest(agents)

/** A legacy client of the joint endpoint, and the resources that it was told of. */
async function legacy(agent = 'a') {
  const client = new LegacyClient({ name: 'test', version: '1' })
  const updated: string[] = []
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri))
  await client.connect(new LegacyTransport(new URL(`${at.proxy.url}/mcp`), { requestInit: { headers: as(agent) } }))
  return { client, updated, [Symbol.asyncDispose]: () => client.close() }
}

test('a server that asks a person is told where nobody can be asked', async () => {
  for (const name of ['old__ask', 'fresh__form']) {
    const { text } = await at.proxy.post('/mcp', rpc('tools/call', { name }), as('a'))
    expect(text).toMatch(/elicitation|asks for input/)
  }
})

const name = 'fresh__form'
const form = (agent: string, more: Record<string, unknown> = {}, capabilities: object = { elicitation: {} }) =>
  postModern(at.proxy, { method: 'tools/call', params: { name, arguments: {}, ...more }, agent, capabilities })

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
    expect((await form('a', { inputResponses, requestState })).text).toContain('state of the server')
    const tampered = `${requestState.slice(0, -2)}${requestState.endsWith('AA') ? 'BB' : 'AA'}`
    for (const answer of [
      await form('b', { inputResponses, requestState }),
      await form('a', { inputResponses, requestState, arguments: { other: true } }),
      await form('a', { inputResponses, requestState: tampered }),
    ])
      expect(answer.json.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') })
  })

  test('is refused before anything is asked where the client offers nothing', async () => {
    const answer = await form('a', {}, {})
    expect([answer.status, answer.json.error.code]).toEqual([400, -32021])
    expect(answer.json.error.data.requiredCapabilities).toMatchObject({ elicitation: {} })
  })
})

describe('a session at the joint endpoint', () => {
  async function begin(agent = 'a') {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
    const { headers } = await at.proxy.post('/mcp', rpc('initialize', params), as(agent))
    return { ...as(agent), 'mcp-session-id': headers.get('mcp-session-id') ?? expect.fail('no session') }
  }
  const stream = (headers: Record<string, string>, signal: AbortSignal) =>
    fetch(`${at.proxy.url}/mcp`, { headers: { accept: 'text/event-stream', ...headers }, signal })

  test('is nobody else’s, and gone when it is ended', async () => {
    const mine = await begin()
    expect((await at.proxy.post('/mcp', rpc('ping'), { ...mine, ...as('b') })).status).toBe(404)
    expect((await fetch(`${at.proxy.url}/mcp`, { method: 'DELETE', headers: mine })).status).toBe(204)
    expect((await at.proxy.post('/mcp', rpc('ping'), mine)).json.error).toMatchObject({ code: -32001 })
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
    at.use({ b: agents.b })
    await expect(open.text()).resolves.toContain('retry:')
    at.use(agents)
    expect((await at.proxy.post('/mcp', rpc('ping'), mine)).status).toBe(404)
  })

  test('gets what it missed when it comes back', async () => {
    const mine = await begin()
    await at.known()
    using gone = new Stop()
    const open = await stream(mine, gone.signal)
    const [, id = ''] = /^id: (.+)$/m.exec(new TextDecoder().decode((await open.body?.getReader().read())?.value)) ?? []
    gone.stop()
    await until('it is gone', () => !at.proxy.gateway.hosting.find(mine['mcp-session-id'], 'a')?.standing.isOpen)
    at.use({ a: agentWith('a', { old: wholeGrant }) })
    using stop = new Stop()
    const again = await stream({ ...mine, 'last-event-id': id }, stop.signal)
    const reader = again.body?.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader?.read())?.value).toContain('notifications/tools/list_changed')
  })

  test('can cancel a call by its id', async () => {
    const mine = await begin()
    const call = at.proxy.post('/mcp', rpc('tools/call', { name: 'old__wait' }, 'w'), mine)
    await until('the call is on its way', () => at.old.seen.some((one) => one.body.includes('"wait"')))
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'w' } }
    expect((await at.proxy.post('/mcp', cancel, mine)).status).toBe(202)
    expect((await call).json.error.message).toContain('cancelled')
    await until('the server is told', () => at.old.seen.some((one) => one.body.includes('notifications/cancelled')))
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
  beforeEach(() => at.known())

  test.each(['old', 'fresh'] as const)('hears of a resource of %s that changed', async (name) => {
    await using session = await legacy()
    const { client, updated } = session
    const uri = `${name}+demo://one`
    await client.subscribeResource({ uri })
    const upstream = at[name]
    await until('it is told', () => {
      upstream.update('demo://one')
      return updated.includes(uri)
    })
    await client.unsubscribeResource({ uri })
    const count = updated.length
    upstream.update('demo://one')
    await client.ping()
    expect(updated.length).toBe(count)
    await expect(client.subscribeResource({ uri: 'nobody+demo://one' })).rejects.toThrow('Resource not found')
  })

  test('hears no more of what is no longer granted', async () => {
    await using session = await legacy()
    const { client, updated } = session
    await client.subscribeResource({ uri: 'fresh+demo://one' })
    await client.subscribeResource({ uri: 'old+demo://one' })
    at.use({ a: agentWith('a', { old: wholeGrant }) })
    await until('the other is told', () => {
      at.fresh.update('demo://one')
      at.old.update('demo://one')
      return updated.length > 2
    })
    expect(new Set(updated)).toEqual(new Set(['old+demo://one']))
  })

  test.each(['old', 'fresh'] as const)('in the newer era, of %s too', async (name) => {
    const listen = listenModern('a', { resourceSubscriptions: [`${name}+demo://one`, 'nobody+demo://one'] })
    await until('it is acknowledged', () => listen.said.includes('acknowledged'))
    expect(listen.said).toContain(`"resourceSubscriptions":["${name}+demo://one"]`)
    await until('it is told', () => {
      at[name].update('demo://one')
      return listen.said.includes('notifications/resources/updated')
    })
    expect(listen.said).toContain(`"uri":"${name}+demo://one","_meta":{"io.modelcontextprotocol/subscriptionId":"l"}`)
  })

  test('is not heard of at a server any more once it is gone', async () => {
    const listen = listenModern('a', { resourceSubscriptions: ['old+demo://one'] })
    await until('it is acknowledged', () => listen.said.includes('acknowledged'))
    const asked = at.old.seen.find(({ body }) => body.includes('resources/subscribe'))
    const session = asked?.headers['mcp-session-id'] ?? expect.fail('it did not ask the server')
    listen.leave()
    await until('its session at the server is ended', () =>
      at.old.seen.some(({ method, headers }) => method === 'DELETE' && headers['mcp-session-id'] === session),
    )
  })

  test('hears what a server logs in the levels that it wants', async () => {
    await using session = await legacy()
    const { client } = session
    const heard: unknown[] = []
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(params))
    await client.setLoggingLevel('error')
    await until('the server knows', async () => {
      await client.callTool({ name: 'old__talk' })
      return at.old.seen.some(({ body }) => body.includes('logging/setLevel')) && heard.length > 0
    })
    heard.length = 0
    await client.callTool({ name: 'old__talk' })
    await until('it is heard', () => heard.length > 0)
    expect(heard).toEqual([{ level: 'error', logger: 'old/db', data: 'error' }])
    await expect(at.proxy.post('/mcp', rpc('logging/setLevel', { level: 'error' }), as('a'))).resolves.toMatchObject({
      json: { error: { code: -32601 } },
    })
  })
})

function listenModern(agent: string, notifications: object = { toolsListChanged: true }) {
  const leaving = new AbortController()
  const heard = { said: '', leave: () => leaving.abort() }
  const request = { method: 'subscriptions/listen', params: { notifications }, agent, id: 'l' }
  const headers = { ...modernHeaders(request), 'content-type': 'application/json' }
  const body = JSON.stringify(modernBody(request))
  void fetch(`${at.proxy.url}/mcp`, { method: 'POST', headers, body, signal: leaving.signal })
    .then(async ({ body: stream }) => {
      for await (const chunk of stream?.pipeThrough(new TextDecoderStream()) ?? []) heard.said += chunk
    })
    .catch(() => undefined)
  return heard
}

describe('a change', () => {
  test('reaches exactly those whose view changed (F10)', async () => {
    await at.known()
    const changed: string[] = []
    const watch = async (agent: string) => {
      const session = await legacy(agent)
      session.client.setNotificationHandler(ToolListChangedNotificationSchema, () => void changed.push(agent))
      const id = await until('its stream is open', () => at.proxy.gateway.hosting.open !== undefined)
      return { session, id }
    }
    const [a, b] = [await watch('a'), await watch('b')]
    const listen = listenModern('b')
    await until('a modern client listens', () => listen.said.includes('acknowledged'))
    at.use({ ...agents, b: agentWith('b', { old: wholeGrant }) })
    await until('b is told', () => changed.includes('b') && listen.said.includes('tools/list_changed'))
    expect(changed).toEqual(['b'])
    expect(listen.said).toContain('"io.modelcontextprotocol/subscriptionId":"l"')
    at.use({ a: agents.a })
    await until('it ends with a result', () => listen.said.includes('"resultType":"complete"'))
    await a.session[Symbol.asyncDispose]()
    await b.session[Symbol.asyncDispose]()
  })
})
