import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { type Call, openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter, messagesOf } from '../support/wire.ts'

const name64 = 'n'.repeat(64)
const name128 = 'N.'.repeat(64)
const injected = 'demo://a\r\nx-injected: 1'
const megabytes = 10
let release: () => void = () => undefined
const answering = { cancelled: 0 }

const resources = (uri: string) => ({
  'resources/list': () => ({ resources: [{ uri, name: 'own' }] }),
  'resources/templates/list': () => ({ resourceTemplates: [] }),
  'resources/read': ({ params }: Call) => ({ contents: [{ uri: params.uri, text: 'read' }] }),
})
const tools = {
  [name64]: () => textResult('64'),
  [name128]: () => textResult('128'),
  echo: ({ params }: Call) => textResult(JSON.stringify(params.arguments)),
  large: () => textResult('x'.repeat(megabytes * 1024 * 1024)),
  ask: async (call: Call) => {
    const { result } = await call.ask('elicitation/create', {
      message: JSON.stringify(call.params.arguments),
      requestedSchema: { type: 'object', properties: {} },
    })
    return textResult(JSON.stringify([call.params.arguments, result]))
  },
  hold: async ({ response, params }: Call) => {
    response.once('close', () => answering.cancelled++)
    await new Promise<void>((go) => {
      release = go
    })
    return textResult(JSON.stringify(params.arguments))
  },
}

let proxy: OpenProxy
let old: RawServer
let fresh: RawServer
beforeAll(async () => {
  proxy = await openProxy()
  const capabilities = { resources: {} }
  old = await openRawServer({ era: 'legacy', capabilities, tools, methods: resources('demo://old') })
  fresh = await openRawServer({ era: 'modern', capabilities, tools, methods: resources('demo://new') })
  const servers = { old: serverAt('old', old.origin), new: serverAt('new', fresh.origin) }
  const grants = { old: wholeGrant, new: wholeGrant }
  const agents = {
    a: agentWith('a', grants),
    left: agentWith('left', { old: wholeGrant }),
    right: agentWith('right', { new: wholeGrant }),
  }
  proxy.use({ agents, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation)),
  )
})
afterAll(async () => {
  for (const one of [proxy, old, fresh]) await one[Symbol.asyncDispose]()
})

const eras = ['legacy', 'modern'] as const
const places = eras.flatMap((era) =>
  ['old', 'new'].flatMap((server) => ['/mcp', `/mcp/${server}`].map((path) => ({ era, server, path }))),
)
const nameAt = (path: string, server: string) => (tool: string) => (path === '/mcp' ? `${server}__${tool}` : tool)

describe('(§7) two agents with disjoint grants', () => {
  test.each(eras)('see and reach nothing of each other’s, by name or by guess (%s)', async (era) => {
    const ways = { left: ['old', 'new'], right: ['new', 'old'] } as const
    for (const [agent, [own, other]] of Object.entries(ways)) {
      const way = await enter(proxy, { path: '/mcp', era, agent })
      const list = JSON.stringify([await answerTo(way, 'tools/list'), await answerTo(way, 'resources/list')])
      expect([list.includes(`${own}__echo`), list.includes(`${other}__`), list.includes(`demo://${other}`)]).toEqual([
        true,
        false,
        false,
      ])
      const read = async (uri: string) => (await answerTo(way, 'resources/read', { uri })).error?.message
      expect(await read(`${other}+demo://${other}`)).toBe(`Resource not found: ${other}+demo://${other}`)
      const asked = [old, fresh].map(({ seen }) => seen.length)
      for (const name of [`${other}__echo`, `${own}__${other}__echo`, `${other}__absent`])
        expect((await answerTo(way, 'tools/call', { name, arguments: {} })).error?.code ?? 'no error').not.toBe(
          'no error',
        )
      const others = own === 'old' ? fresh : old
      expect(others.seen.slice(asked[own === 'old' ? 1 : 0]).filter(({ body }) => body.includes('tools/call'))).toEqual(
        [],
      )
      for (const method of ['tasks/list', 'tasks/get', 'tasks/result', 'tasks/cancel', 'tasks/update'])
        expect((await answerTo(way, method, { taskId: '1' })).error?.code).toBe(-32601)
    }
  })
})

test.each(['/mcp', '/mcp/new'])('(§7) no name or URI makes a header of its own, at %s', async (path) => {
  const way = await enter(proxy, { path, era: 'modern', agent: 'a' })
  const before = fresh.seen.length
  await answerTo(way, 'resources/read', { uri: path === '/mcp' ? `new+${injected}` : injected })
  await answerTo(way, 'tools/call', { name: nameAt(path, 'new')('a\r\nx-injected: 1'), arguments: {} })
  const sent = fresh.seen.slice(before).filter(({ headers }) => headers['mcp-name'] !== undefined)
  expect(sent.length).toBeGreaterThan(0)
  for (const { headers } of sent) {
    expect(headers['mcp-name']).toMatch(/^=\?base64\?[A-Za-z0-9+/=]+\?=$/)
    expect(headers['x-injected']).toBeUndefined()
  }
})

describe.each(places)('(§7) a $era client of the $server server at $path', ({ era, server, path }) => {
  const name = nameAt(path, server)
  const enterIt = (capabilities = {}) => enter(proxy, { path, era, agent: 'a', capabilities })

  test('calls tools with names of 64 and 128 characters', async () => {
    const way = await enterIt()
    const { result } = await answerTo(way, 'tools/list')
    const listed = Array.isArray(result?.tools) ? result.tools.map((tool) => String(tool.name)) : []
    const called = listed.filter(
      (one) => /n{20}|N[._]N/.test(one) && (path !== '/mcp' || one.startsWith(`${server}__`)),
    )
    const answers = await Promise.all(called.map((one) => answerTo(way, 'tools/call', { name: one, arguments: {} })))
    expect(JSON.stringify(answers.map((one) => one.result?.content))).toMatch(/"64".*"128"/)
    if (path === '/mcp') for (const one of called) expect(one).toMatch(/^[\w-]{1,48}$/)
  })

  test('gets a result of 10 MB whole', async () => {
    const { result } = await answerTo(await enterIt(), 'tools/call', { name: name('large'), arguments: {} })
    expect(JSON.stringify(result?.content).length).toBeGreaterThan(megabytes * 1024 * 1024)
  })

  test.each([0, '', 'x', -1, 1.5, '1'])('is answered with its id %j as it was', async (id) => {
    const { id: answered, result } = await answerTo(
      await enterIt(),
      'tools/call',
      { name: name('echo'), arguments: {} },
      id,
    )
    expect([answered, result?.content]).toEqual([id, [{ type: 'text', text: '{}' }]])
  })

  test('is refused with HTTP 400 for an id that is none', async () => {
    const { url, headers } = await enterIt()
    for (const id of ['null', 'true', '{}', '[1]']) {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/list","params":{}}`
      const answer = await fetch(url, { method: 'POST', headers, body })
      expect([answer.status, JSON.parse(await answer.text())]).toMatchObject([
        400,
        { id: null, error: { code: -32600 } },
      ])
    }
  })

  test('may use one id for two calls that are on their way', async () => {
    const way = await enterIt()
    const calls = [1, 2, 3].map((at) => answerTo(way, 'tools/call', { name: name('echo'), arguments: { at } }, 'twice'))
    for (const [at, answer] of (await Promise.all(calls)).entries())
      expect(answer).toMatchObject({ id: 'twice', result: textResult(JSON.stringify({ at: at + 1 })) })
  })

  test('goes on using its connection after a call that it gave up', async () => {
    const way = await enterIt()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const before = answering.cancelled
    const aborting = new AbortController()
    const given = fetchOver(agent, way, rpcOf(way, name('hold')), aborting.signal).catch(() => 'gave up')
    await until('it is on its way', () => [old, fresh].some(({ seen }) => seen.at(-1)?.body.includes('hold')))
    aborting.abort()
    expect(await given).toBe('gave up')
    for (const round of [1, 2]) {
      const text = await fetchOver(agent, way, rpcOf(way, name('echo'), { round }))
      expect(messagesOf(text).at(-1)?.result).toMatchObject(textResult(JSON.stringify({ round })))
    }
    await until('the server’s part is over', () => answering.cancelled > before)
    release()
    agent.destroy()
  })
})

describe.each(['/mcp', '/mcp/old'])('(§7) three calls of one tool at once, at %s,', (path) => {
  const name = nameAt(path, 'old')('ask')

  test('each get the answer to their own question, from a session', async () => {
    const way = await enter(proxy, { path, era: 'legacy', agent: 'a', capabilities: { elicitation: {} } })
    const answers = [1, 2, 3].map(async (at) => {
      let text = ''
      const { body } = await askOf(way, 'tools/call', { name, arguments: { at } }, at)
      for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk
        const question = messagesOf(text).find(({ method }) => method === 'elicitation/create')
        if (question === undefined || text.includes('"result"') || answered.has(question.id)) continue
        answered.add(question.id)
        expect(question.params?.message).toContain(`{"at":${at}}`)
        const reply = { jsonrpc: '2.0', id: question.id, result: { action: 'accept', content: { at } } }
        await fetch(way.url, { method: 'POST', headers: way.headers, body: JSON.stringify(reply) })
      }
      return messagesOf(text).at(-1)?.result
    })
    const answered = new Set<unknown>()
    for (const [i, result] of (await Promise.all(answers)).entries())
      expect(result).toEqual(textResult(JSON.stringify([{ at: i + 1 }, { action: 'accept', content: { at: i + 1 } }])))
  })

  test('each get the answer to their own question, in the newer era', async () => {
    const way = await enter(proxy, { path, era: 'modern', agent: 'a', capabilities: { elicitation: {} } })
    const asked = await Promise.all([1, 2, 3].map((at) => answerTo(way, 'tools/call', { name, arguments: { at } })))
    const answers = asked.toReversed().map(async ({ result }, i) => {
      const at = 3 - i
      const inputResponses = { r1: { action: 'accept', content: { at } } }
      const params = { name, arguments: { at }, inputResponses, requestState: result?.requestState }
      return (await answerTo(way, 'tools/call', params)).result
    })
    for (const [i, result] of (await Promise.all(answers)).entries())
      expect(result).toMatchObject(
        textResult(JSON.stringify([{ at: 3 - i }, { action: 'accept', content: { at: 3 - i } }])),
      )
  })
})

function rpcOf({ era }: { readonly era: string }, name: string, args = {}) {
  const prefix = 'io.modelcontextprotocol'
  const _meta = { [`${prefix}/protocolVersion`]: '2026-07-28', [`${prefix}/clientCapabilities`]: {} }
  return rpc('tools/call', { name, arguments: args, ...(era === 'modern' && { _meta }) })
}

/** Over the one connection of an agent. */
function fetchOver(
  agent: Agent,
  way: { readonly url: string; readonly headers: object },
  message: ReturnType<typeof rpc>,
  signal?: AbortSignal,
) {
  const names = { 'mcp-method': 'tools/call', 'mcp-name': String(Object(message.params).name) }
  const headers = { ...way.headers, ...names, ...as('a') }
  return new Promise<string>((done, fail) => {
    const sent = request(way.url, { agent, method: 'POST', headers, ...(signal && { signal }) }, (answer) => {
      answer.toArray().then((chunks) => done(Buffer.concat(chunks).toString()), fail)
    })
    sent.on('error', fail).end(JSON.stringify(message))
  })
}
