import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openListener, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter, type Way } from '../support/wire.ts'
import type { Words } from '../support/words.ts'

/** Far less than it takes until a server is asked again by itself, ms. */
const soon = 5_000

const agents = {
  all: agentWith('all', { old: wholeGrant }),
  echo: agentWith('echo', { old: { ...wholeGrant, tools: ['echo'] } }),
  none: agentWith('none', {}),
}
let proxy: OpenProxy
let words: Words
const opened: AsyncDisposable[] = []
beforeEach(async () => {
  words = {}
  proxy = await openProxy()
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
})

/** Puts a server in force, and waits until the proxy knows it. */
async function use<T extends Upstream>(opening: Promise<T>): Promise<T> {
  const upstream = await opening
  opened.push(upstream)
  const old = serverAt('old', upstream.origin)
  proxy.use({ agents, servers: { old } })
  await until('the server is known', () => proxy.gateway.probes.probe(old.generation)?.ok)
  return upstream
}

interface Listener {
  readonly way: Way
  /** How often it was told that tools changed. */
  told(): number
  leave(): void
}

async function listen(way: Way): Promise<Listener> {
  const stop = new AbortController()
  opened.push({ [Symbol.asyncDispose]: async () => stop.abort() })
  let heard = ''
  const response =
    way.era === 'legacy'
      ? await fetch(way.url, { headers: way.headers, signal: stop.signal })
      : await askOf(way, 'subscriptions/listen', { notifications: { toolsListChanged: true } }, 1, stop.signal)
  expect(response.status).toBe(200)
  void (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) heard += chunk
  })().catch(() => undefined)
  if (way.era === 'modern') await until('it is acknowledged', () => heard.includes('acknowledged'))
  return {
    way,
    told: () => heard.match(/notifications\/tools\/list_changed/g)?.length ?? 0,
    leave: () => stop.abort(),
  }
}

const streams = ({ seen }: Upstream) => seen.filter(({ method }) => method === 'GET')
const listens = ({ seen }: Upstream) =>
  seen.filter(({ method, body }) => method === 'GET' || body.includes('subscriptions/listen'))

/** Waits until the gateway hears the server, has asked it since, and has nothing there but the session in which it hears. */
async function heeded(upstream: Upstream): Promise<void> {
  const { seen } = upstream
  const last = await until('it is heard', () => listens(upstream).at(-1))
  await until('it was asked', () => seen.slice(seen.indexOf(last)).some(({ body }) => body.includes('"tools/list"')))
  await until('nobody asks it', () => upstream.sessions === Math.min(1, streams(upstream).length))
}

/** Of the fourth way at a legacy server, the server itself tells its client. */
const ways = (['v1-sessions', 'v2', 'v2-strict'] as const).flatMap((kind) =>
  (['/mcp', '/mcp/old'] as const).flatMap((path) =>
    (['legacy', 'modern'] as const).map((era) => ({ kind, path, era })),
  ),
)

describe('(F10) what a server says changed', () => {
  test.each(ways.filter(({ kind, path, era }) => kind !== 'v1-sessions' || path === '/mcp' || era === 'modern'))(
    'is told at once to the $era clients at $path of $kind that see it, and to no other',
    async ({ kind, path, era }) => {
      const upstream = await use(openUpstream(kind, words))
      const [all, echo] = await Promise.all(
        ['all', 'echo'].map(async (agent) => listen(await enter(proxy, { path, era, agent }))),
      )
      await heeded(upstream)
      words.fresh = 'a new one'
      upstream.changeTools()
      await until('who sees it is told', () => all?.told() === 1, soon)
      words.echo = 'another description'
      upstream.changeTools()
      await until('both are told', () => all?.told() === 2 && echo?.told() === 1, soon)
      const less = { ...agents, all: agentWith('all', { old: { ...wholeGrant, tools: ['secret'] } }) }
      proxy.use({ agents: less, servers: current() })
      await until('who lost something is told', () => all?.told() === 3, soon)
      expect(echo?.told()).toBe(1)
    },
  )

  test('is told at once to who sees a server that was granted or added since', async () => {
    const upstream = await openUpstream('v1-sessions', words)
    opened.push(upstream)
    proxy.use({ agents })
    const [all, none] = await Promise.all(
      ['all', 'none'].map(async (agent) => listen(await enter(proxy, { path: '/mcp', era: 'legacy', agent }))),
    )
    const old = serverAt('old', upstream.origin)
    proxy.use({ agents, servers: { old } })
    await heeded(upstream)
    await until('it is told of the server', () => all?.told() === 1, soon)
    proxy.use({ agents: { ...agents, none: agentWith('none', { old: wholeGrant }) }, servers: { old } })
    await until('the other is told of its grant', () => none?.told() === 1, soon)
    words.fresh = 'a new one'
    upstream.changeTools()
    await until('both are told', () => all?.told() === 2 && none?.told() === 2, soon)
  })
})

describe('a legacy server (F23)', () => {
  test('has no stream and no session of the gateway’s where nobody who sees it listens, nor once they left', async () => {
    const upstream = await use(openUpstream('v1-sessions', words))
    await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'all' })
    const none = await listen(await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'none' }))
    const asked = proxy.post('/mcp', { jsonrpc: '2.0', id: 1, method: 'ping' }, none.way.headers)
    expect((await asked).status).toBe(200)
    await until('its sessions are ended', () => upstream.sessions === 0)
    expect(streams(upstream)).toEqual([])
    const [first, second] = await Promise.all(
      (['legacy', 'modern'] as const).map(async (era) =>
        listen(await enter(proxy, { path: '/mcp', era, agent: 'all' })),
      ),
    )
    await heeded(upstream)
    first?.leave()
    const id = first?.way.headers['mcp-session-id'] ?? ''
    await until('the gateway knows', () => proxy.gateway.hosting.find(id, 'all')?.standing.isOpen === false)
    words.fresh = 'a new one'
    upstream.changeTools()
    await until('who still listens is told', () => second?.told() === 1, soon)
    second?.leave()
    await until('its session is ended', () => upstream.sessions === 0)
    expect(streams(upstream)).toHaveLength(1)
  })

  test.each([
    ['is taken away', () => proxy.use({ agents })],
    [
      'is granted to nobody who listens',
      () => proxy.use({ agents: { all: agentWith('all', {}) }, servers: current() }),
    ],
    ['loses its proxy', () => proxy[Symbol.asyncDispose]()],
  ])('that %s keeps no session of the gateway’s', async (_, happen) => {
    const upstream = await use(openUpstream('v1-sessions', words))
    await listen(await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'all' }))
    await heeded(upstream)
    await happen()
    await until('its session is ended', () => upstream.sessions === 0)
  })

  test('keeps nothing of what the clients of a proxy had there once it has left', async () => {
    const upstream = await use(openUpstream('v1-sessions', words))
    const one = async () => {
      const way = await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'all', capabilities: { elicitation: {} } })
      const called = await answerTo(way, 'tools/call', { name: 'old__echo', arguments: { text: 'hi' } })
      expect(called.result).toMatchObject({ content: [{ text: 'hi' }] })
      expect(await answerTo(way, 'resources/subscribe', { uri: 'old+demo://one' })).toMatchObject({ result: {} })
    }
    await Promise.all(Array.from({ length: 20 }, one))
    expect(upstream.sessions).toBeGreaterThanOrEqual(40)
    await proxy[Symbol.asyncDispose]()
    expect(upstream.sessions).toBe(0)
  })

  test('that was started again is heard again, and asked what changed meanwhile', async () => {
    const first = await use(openUpstream('v1-sessions', words))
    const listener = await listen(await enter(proxy, { path: '/mcp', era: 'modern', agent: 'all' }))
    await heeded(first)
    await first[Symbol.asyncDispose]()
    words.fresh = 'a new one'
    const second = await openUpstream('v1-sessions', words, Number(new URL(first.origin).port))
    opened.push(second)
    await until('it is told what changed', () => listener.told() === 1, soon)
    await heeded(second)
    words.echo = 'another description'
    second.changeTools()
    await until('it is told at once', () => listener.told() === 2, soon)
    await until('no other session is left', () => second.sessions === 1)
  })

  test.each([405, 404])(
    'that answers %s for its stream although it says that it tells is asked once',
    async (status) => {
      const { upstream, tools, sessions } = await openWire((_, response) => response.writeHead(status).end())
      const listener = await listen(await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'all' }))
      await until('it was asked, and left', () => streams(upstream).length === 1 && sessions.size === 0)
      listener.leave()
      const again = await listen(await enter(proxy, { path: '/mcp', era: 'modern', agent: 'all' }))
      tools.push({ name: 'fresh' })
      proxy.gateway.probes.again(current().old.generation)
      await until('it is told what asking again has found', () => again.told() === 1)
      expect([streams(upstream).length, sessions.size]).toEqual([1, 0])
    },
  )

  test('that ends its stream is heard on where it was, when it says', async () => {
    const { upstream, sessions } = await openWire(({ headers }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      if (headers['last-event-id'] === undefined) response.end('id: s_7\nretry: 110\ndata: \n\n')
      else response.write(': on\n\n')
    })
    await listen(await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'all' }))
    await until('it was asked again', () => streams(upstream).length === 2)
    const [before, after] = streams(upstream).map(({ headers }) => headers)
    expect(after?.['last-event-id']).toBe('s_7')
    expect(after?.['mcp-session-id']).toBe(before?.['mcp-session-id'])
    await until('there is that session alone', () => sessions.size === 1)
  })

  test('whose session cannot be begun as it should keeps none', async () => {
    const { sessions } = await openWire((_, response) => response.writeHead(405).end(), '2099-01-01')
    const ping = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'old__echo', arguments: {} } }
    const { json } = await proxy.post('/mcp', ping, as('all'))
    expect(json.error.message).toMatch(/initialize answered/)
    await until('its sessions are ended', () => sessions.size === 0)
  })
})

const current = () => ({ old: serverAt('old', opened.find(isUpstream)?.origin) })
const isUpstream = (one: AsyncDisposable): one is Upstream => 'origin' in one

/** A legacy server that says that it tells of changed tools: its stream is what the test makes of it. */
async function openWire(
  stream: (request: IncomingMessage, response: ServerResponse) => unknown,
  protocolVersion = '2025-11-25',
) {
  const sessions = new Set<string>()
  const tools: { name: string }[] = [{ name: 'echo' }]
  let count = 0
  const about = {
    protocolVersion,
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: 'w', version: '1' },
  }
  const listener: RequestListener = async (request, response) => {
    const session = String(request.headers['mcp-session-id'] ?? '')
    if (request.method === 'GET') return stream(request, response)
    if (request.method === 'DELETE') {
      sessions.delete(session)
      return response.writeHead(204).end()
    }
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    if (id === undefined) return response.writeHead(202).end()
    if (session === '' && method !== 'initialize') return response.writeHead(400).end()
    if (method === 'initialize') {
      sessions.add(String(++count))
      response.setHeader('mcp-session-id', count)
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: method === 'initialize' ? about : { tools } }))
  }
  return { upstream: await use(openListener(listener)), sessions, tools }
}
