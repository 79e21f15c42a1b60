import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openListener, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter, messagesOf } from '../support/wire.ts'

/** Remembers a word for each session. */
const remembering = () => {
  const words = new Map<string, string>()
  return openRawServer({
    era: 'legacy',
    capabilities: { resources: { subscribe: true } },
    tools: {
      set: ({ params: { arguments: args }, session }) => {
        words.set(session, JSON.stringify(args))
        return textResult('set')
      },
      get: ({ session }) => textResult(words.get(session) ?? 'nothing'),
      slow: async (call) => {
        call.note('notifications/progress', { ...tokenOf(call.params), progress: 1 })
        await new Promise((done) => setTimeout(done, 20))
        return textResult(JSON.stringify(call.params.arguments))
      },
    },
    methods: {
      'resources/list': () => ({ resources: [{ uri: 'demo://one', name: 'one' }] }),
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'resources/subscribe': ({ params, session }) => {
        subscribed.push([session, String(params.uri)])
        return {}
      },
      'resources/unsubscribe': () => ({}),
    },
  })
}
const subscribed: [string, string][] = []
const tokenOf = ({ _meta }: Readonly<Record<string, unknown>>) =>
  typeof _meta === 'object' && _meta !== null && 'progressToken' in _meta ? { progressToken: _meta.progressToken } : {}

/** Tells callers apart by `X-Session-ID`, as servers without sessions do. */
function openForgetful(): Promise<Upstream> {
  const words = new Map<unknown, string>()
  return openListener(async (request, response) => {
    const { id, method, params } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}')
    if (request.method !== 'POST') return response.writeHead(405).end()
    if (id === undefined) return response.writeHead(202).end()
    const who = request.headers['x-session-id']
    if (params?.name === 'set') words.set(who, JSON.stringify(params.arguments))
    const about = {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'f', version: '1' },
    }
    const tools = ['set', 'get'].map((name) => ({ name, inputSchema: { type: 'object' } }))
    const results: Readonly<Record<string, object>> = {
      initialize: about,
      'tools/list': { tools },
      'tools/call': textResult(words.get(who) ?? 'nothing'),
    }
    const answer = results[method]
    const outcome = answer === undefined ? { error: { code: -32601, message: 'unknown' } } : { result: answer }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }))
  })
}

let proxy: OpenProxy
let kept: RawServer
let forgetful: Upstream
beforeEach(async () => {
  subscribed.length = 0
  proxy = await openProxy()
  ;[kept, forgetful] = [await remembering(), await openForgetful()]
  const servers = { kept: serverAt('kept', kept.origin), bare: serverAt('bare', forgetful.origin) }
  const grants = { kept: wholeGrant, bare: wholeGrant }
  const narrow = { kept: { ...wholeGrant, tools: ['get'] } }
  proxy.use({ agents: { a: agentWith('a', grants), b: agentWith('b', grants), c: agentWith('c', narrow) }, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation)),
  )
})
afterEach(async () => {
  for (const one of [proxy, kept, forgetful]) await one[Symbol.asyncDispose]()
})

const ways = (['session', 'legacy', 'modern'] as const).flatMap((how) =>
  ['kept', 'bare'].flatMap((server) => ['/mcp', `/mcp/${server}`].map((path) => ({ how, server, path }))),
)
/** At its own address a server without sessions gives none. */
const possible = ways.filter(({ how, path }) => how !== 'session' || path !== '/mcp/bare')

describe.each(possible)('(F25) two agents of the server $server at $path ($how)', ({ how, server, path }) => {
  const name = (tool: string) => (path === '/mcp' ? `${server}__${tool}` : tool)
  const outside = async (agent: string, tool: string, args: object) =>
    (await proxy.post(path, rpc('tools/call', { name: name(tool), arguments: args }), as(agent))).text

  test('find their own words again in 200 sets and reads at once', async () => {
    const reads = await Promise.all(
      ['a', 'b'].map(async (agent) => {
        const way =
          how === 'legacy'
            ? undefined
            : await enter(proxy, { path, era: how === 'modern' ? 'modern' : 'legacy', agent })
        const call = async (tool: string, args: object) =>
          way === undefined
            ? outside(agent, tool, args)
            : JSON.stringify(await answerTo(way, 'tools/call', { name: name(tool), arguments: args }))
        const said: boolean[] = []
        for (let round = 0; round < 100; round++) {
          await call('set', { word: `${agent}-${round}` })
          said.push((await call('get', {})).includes(`${agent}-${round}`))
        }
        return said
      }),
    )
    expect(reads.flat()).toEqual(Array(200).fill(true))
  })
})

describe.each(['/mcp', '/mcp/kept'])('(F25) at %s', (path) => {
  const name = (tool: string) => (path === '/mcp' ? `kept__${tool}` : tool)

  test('answers and progress under the same ids and tokens go to who asked', async () => {
    for (const era of ['legacy', 'modern'] as const) {
      const entered = await Promise.all(['a', 'b', 'a'].map((agent) => enter(proxy, { path, era, agent })))
      const answers = await Promise.all(
        entered.map(async (way, at) => {
          const params = { name: name('slow'), arguments: { at }, _meta: { progressToken: 'same' } }
          return messagesOf(await (await askOf(way, 'tools/call', params, 'same')).text())
        }),
      )
      for (const [at, messages] of answers.entries()) {
        expect(messages.map(({ params }) => params).filter((params) => params !== undefined)).toEqual([
          { progressToken: 'same', progress: 1 },
        ])
        expect(messages.at(-1)).toMatchObject({ id: 'same', result: textResult(JSON.stringify({ at })) })
      }
    }
  })

  test('nobody sees what another agent’s list has, whoever asked first', async () => {
    const tools = async (agent: string) =>
      (await proxy.post(path, rpc('tools/list'), as(agent))).json.result.tools.map((one: { name: string }) => one.name)
    const isLess = (all: string[]) => all.filter((one) => !one.includes('bare'))
    const rounds = await Promise.all(Array.from({ length: 40 }, (_, i) => tools(i % 2 === 0 ? 'a' : 'c')))
    for (const [i, list] of rounds.entries())
      expect(isLess(list)).toEqual((i % 2 === 0 ? ['set', 'get', 'slow'] : ['get']).map(name))
  })
})

test('(F25) each agent’s subscriptions are of sessions of its own at the server', async () => {
  for (const agent of ['a', 'b']) {
    const way = await enter(proxy, { path: '/mcp', era: 'legacy', agent })
    expect((await answerTo(way, 'resources/subscribe', { uri: 'kept+demo://one' })).result).toEqual({})
  }
  expect(subscribed.map(([, uri]) => uri)).toEqual(['demo://one', 'demo://one'])
  expect(new Set(subscribed.map(([session]) => session)).size).toBe(2)
})
