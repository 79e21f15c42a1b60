import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { agentWith, as, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { type Call, openRawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { askOf, enter, messagesOf } from '../support/wire.ts'

/** So long may a call be silent, and last in all, ms. */
const [silent, longest] = [1_000, 2_500]

const step = 100
const progressOf = ({ params }: Call) =>
  typeof params._meta === 'object' && params._meta !== null && 'progressToken' in params._meta
    ? { progressToken: params._meta.progressToken }
    : {}

const tools = {
  /** Twice as long as a call may be silent. */
  steady: async (call: Call) => {
    for (let progress = 1; progress * step < 2 * silent; progress++) {
      call.note('notifications/progress', { ...progressOf(call), progress })
      await sleep(step)
    }
    return textResult('done')
  },
  endless: async (call: Call) => {
    for (let progress = 1; !call.response.closed; progress++) {
      call.note('notifications/progress', { ...progressOf(call), progress })
      await sleep(step)
    }
  },
  mute: (call: Call) => new Promise((done) => call.response.once('close', done)),
  /** Says progress of others beside its own. */
  mixed: (call: Call) => {
    for (const progressToken of ['theirs', 'gateway-1', 1])
      call.note('notifications/progress', { progressToken, progress: 7 })
    call.note('notifications/progress', { ...progressOf(call), progress: 1 })
    return textResult(JSON.stringify(call.params._meta ?? null))
  },
}

async function begin(era: 'legacy' | 'modern') {
  const server = await openRawServer({ era, tools })
  const proxy = await openProxy({ limits: { call: longest } })
  const s = serverAt('s', server.origin, { timeout: silent })
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }), b: agentWith('b', { s: wholeGrant }) }, servers: { s } })
  await until('the server is known', () => proxy.gateway.probes.known(s.generation))
  const dispose = async () => {
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  }
  return { proxy, server, [Symbol.asyncDispose]: dispose }
}

const eras = ['legacy', 'modern'] as const
const ways = eras.flatMap((client) =>
  eras.flatMap((upstream) => ['/mcp', '/mcp/s'].map((path) => ({ client, upstream, path }))),
)

test.concurrent.each(ways)(
  '(F26) a call of a $client client to a $upstream server at $path lasts as long as it makes progress, up to a limit, and gets its own progress alone',
  async ({ client, upstream, path }) => {
    await using place = await begin(upstream)
    const { proxy, server } = place
    const call = async (tool: string, agent = 'a', progressToken: string | number = 'mine') => {
      const way = await enter(proxy, { path, era: client, agent })
      const name = path === '/mcp' ? `s__${tool}` : tool
      const response = await askOf(way, 'tools/call', { name, arguments: {}, _meta: { progressToken } }, 'call')
      return messagesOf(await response.text())
    }
    const [mine, same, also, endless, mute] = await Promise.all([
      call('steady'),
      call('steady', 'a', 1),
      call('steady', 'b', 1),
      call('endless'),
      call('mute'),
    ])
    for (const [messages, token] of [[mine, 'mine'] as const, [same, 1] as const, [also, 1] as const]) {
      const told = messages.flatMap(({ method, params }) => (method === 'notifications/progress' ? (params ?? {}) : []))
      expect(told.length).toBeGreaterThan(9)
      expect(told).toEqual(told.map((_, i) => ({ progressToken: token, progress: i + 1 })))
      expect(messages.at(-1)).toMatchObject({ id: 'call', result: textResult('done') })
    }
    const late = (seconds: string) => ({ code: -32603, message: expect.stringContaining(`within ${seconds} s`) })
    expect(endless.at(-1)).toMatchObject({ id: 'call', error: late('2.5') })
    expect(mute.at(-1)).toMatchObject({ id: 'call', error: late('1') })
    if (upstream === 'legacy') await until('its server is told of both', () => server.cancelled.length === 2)
  },
)

test.each(['/mcp', '/mcp/s'])(
  '(F26) a session that several share sees tokens of the proxy’s own, at %s',
  async (path) => {
    await using place = await begin('legacy')
    const name = path === '/mcp' ? 's__mixed' : 'mixed'
    const sent = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, _meta: { progressToken: 'theirs' } } }
    const response = await fetch(place.proxy.url + path, {
      method: 'POST',
      headers: { ...as('a'), 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify(sent),
    })
    const messages = messagesOf(await response.text())
    expect(messages.flatMap(({ params }) => params ?? [])).toEqual([{ progressToken: 'theirs', progress: 1 }])
    expect(JSON.stringify(messages.at(-1)?.result)).toMatch(/progressToken\\":\\"gateway-\d+/)
  },
)
