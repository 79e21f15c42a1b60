import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Budget, TableServer } from '#manifests/table.ts'
import { openListener, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { freePort } from '../support/port.ts'
import { agentWith, as, type OpenProxy, openProxy, post, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openProxyProcess } from '../support/proxy-process.ts'
import { openTableServer } from '../support/table-server.ts'
import { until } from '../support/until.ts'

const version = '2026-07-28'
const meta = {
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientCapabilities': {},
}
const eras = ['legacy', 'modern'] as const
type Era = (typeof eras)[number]
const agents = { a: agentWith('a', { s: wholeGrant }), b: agentWith('b', { s: wholeGrant }) }
const budgetOf = (tool: string, calls: number): Record<string, Budget> => ({
  [tool]: { calls, per: 'day', tools: [tool] },
})
const tools = ['paint', 'stumble', 'fail', 'break', 'look']

/** A server of one era that counts what it does; `break` answers nothing. */
function openPainter(era: Era): Promise<Upstream> {
  return openListener(async (request, response) => {
    const text = Buffer.concat(await request.toArray()).toString()
    if (text === '') return response.writeHead(405).end()
    const asked = JSON.parse(text)
    if (asked.params?.name === 'break') return request.socket.destroy()
    const answers = [asked].flat().map((one) => ({ jsonrpc: '2.0', id: one.id, ...answerTo(one, era) }))
    const body = JSON.stringify(Array.isArray(asked) ? answers : answers[0])
    if (asked.params?.arguments?.stream !== true) {
      response.writeHead(asked.id === undefined ? 202 : 200, { 'content-type': 'application/json' }).end(body)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\ndata: ${body}\n\n`)
  })
}

function answerTo({ method, params }: { method: string; params: Record<string, unknown> }, era: Era) {
  const complete = era === 'modern' ? { resultType: 'complete' } : {}
  if (method === 'server/discover' && era === 'modern')
    return { result: { supportedVersions: [version], capabilities: { tools: {} }, ...complete } }
  if (method === 'initialize' && era === 'legacy')
    return {
      result: {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 's', version: '1' },
      },
    }
  if (method === 'tools/list')
    return { result: { tools: tools.map((name) => ({ name, inputSchema: { type: 'object' } })), ...complete } }
  if (method !== 'tools/call') return { error: { code: -32601, message: 'no such method' } }
  if (params.name === 'fail') return { error: { code: -32000, message: 'failed' } }
  return { result: { content: [{ type: 'text', text: 'done' }], isError: params.name === 'stumble', ...complete } }
}

const doneBy = ({ seen }: Upstream) => seen.filter(({ body }) => body.includes('"tools/call"')).length

describe.each(eras)('a server of the %s era', (upstreamEra) => {
  let proxy: OpenProxy
  let upstream: Upstream
  beforeEach(async () => {
    proxy = await openProxy()
    upstream = await openPainter(upstreamEra)
  })
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  async function serve(more: Partial<TableServer>): Promise<void> {
    const server = serverAt('s', upstream.origin, more)
    proxy.use({ agents, servers: { s: server } })
    await until('it is known', () => proxy.gateway.probes.known(server.generation))
  }

  const left = (name: string) => {
    const use = proxy.gateway.budgets.uses()?.s?.[name]
    return use && use.calls - use.used
  }

  function call(path: string, era: Era, tool: string, { agent = 'a', args = {} } = {}) {
    const name = path === '/mcp' ? `s__${tool}` : tool
    const modern = { 'mcp-protocol-version': version, 'mcp-method': 'tools/call', 'mcp-name': name }
    const params = { name, arguments: args, ...(era === 'modern' && { _meta: meta }) }
    const accept = { accept: 'application/json, text/event-stream' }
    return proxy.post(path, rpc('tools/call', params), { ...as(agent), ...accept, ...(era === 'modern' && modern) })
  }

  const ways = [
    ['/mcp', 'legacy'],
    ['/mcp', 'modern'],
    ['/mcp/s', 'legacy'],
    ...(upstreamEra === 'modern' ? ([['/mcp/s', 'modern']] as const) : []),
  ] as const
  describe.each(ways)('asked at %s in the %s era', (path, era) => {
    test('does as many calls of all agents as its budget has, and the next is refused in-band', async () => {
      await serve({ budgets: budgetOf('paint', 2) })
      for (const agent of ['a', 'b'])
        expect((await call(path, era, 'paint', { agent })).json.result.isError).toBe(false)
      const { status, json } = await call(path, era, 'paint')
      expect([status, json.id, json.error.code]).toEqual([200, 1, -32603])
      expect(json.error.message).toMatch(
        /^The budget "paint" of s is used up: 2 calls per day, shared by all agents; it comes back at \d{4}-\d\d-\d\dT00:00:00Z$/,
      )
      expect(json.error.data).toMatchObject({ budget: 'paint', calls: 2, per: 'day' })
      expect(json.error.message).toContain(json.error.data.resets)
      expect((await call(path, era, 'look')).json.result.content[0].text).toBe('done')
      expect(doneBy(upstream)).toBe(3)
    })

    test('is exact when many come at once', async () => {
      await serve({ budgets: budgetOf('paint', 7) })
      const answers = await Promise.all(Array.from({ length: 40 }, () => call(path, era, 'paint')))
      expect(answers.filter(({ json }) => json.result !== undefined)).toHaveLength(7)
      expect(doneBy(upstream)).toBe(7)
    })

    test.each([
      ['stumble', {}],
      ['stumble', { stream: true }],
      ['fail', {}],
      ['fail', { stream: true }],
    ])('gets its call back when %s %j ends in an error', async (tool, args) => {
      await serve({ budgets: budgetOf(tool, 1) })
      for (let i = 0; i < 3; i++) await call(path, era, tool, { args })
      expect([left(tool), doneBy(upstream)]).toEqual([1, 3])
    })

    test('keeps what a call took whose answer is a stream, or never comes', async () => {
      await serve({ budgets: { ...budgetOf('paint', 1), ...budgetOf('break', 1) } })
      await call(path, era, 'paint', { args: { stream: true } })
      expect((await call(path, era, 'break')).json.error.message).toBe('s does not answer, try again later')
      expect([left('paint'), left('break')]).toEqual([0, 0])
    })

    test('goes on with another budget at the next table', async () => {
      await serve({ budgets: budgetOf('paint', 1) })
      await call(path, era, 'paint')
      await serve({ budgets: budgetOf('paint', 2) })
      expect(left('paint')).toBe(1)
      await call(path, era, 'paint')
      expect((await call(path, era, 'paint')).json.error.message).toContain('2 calls per day')
      await serve({})
      expect((await call(path, era, 'paint')).json.result).toBeDefined()
    })
  })

  test('takes nothing for calls that never reached it', async () => {
    await serve({ budgets: budgetOf('paint', 9) })
    const { generation } = serverAt('s', upstream.origin)
    const gone = serverAt('s', 'http://127.0.0.1:1', { generation, budgets: budgetOf('paint', 9) })
    proxy.use({ agents, servers: { s: gone } })
    const answers = await Promise.all(ways.map(([path, era]) => call(path, era, 'paint')))
    expect(new Set(answers.map(({ json }) => json.error.message))).toEqual(
      new Set(['s does not answer, try again later']),
    )
    expect(left('paint')).toBe(9)
  })

  test('is sent no part of a batch for which its budget has not enough', async () => {
    await serve({ budgets: budgetOf('paint', 2) })
    const batch = (...names: readonly string[]) =>
      proxy.post(
        '/mcp/s',
        names.map((name, id) => rpc('tools/call', { name, arguments: {} }, id)),
        as('a'),
      )
    if (upstreamEra === 'legacy') {
      const { json } = await batch('paint', 'look', 'paint', 'paint')
      expect(json.map((one: { error: { message: string } }) => one.error.message)).toEqual([
        expect.stringContaining('is used up'),
        'Not sent, because another message of this batch was refused',
        expect.stringContaining('is used up'),
        expect.stringContaining('is used up'),
      ])
      expect([left('paint'), doneBy(upstream)]).toEqual([2, 0])
    }
    await batch('paint', 'look', 'paint')
    expect(left('paint')).toBe(0)
  })

  test('does of a batch at the joint endpoint what its budget has', async () => {
    await serve({ budgets: budgetOf('paint', 2) })
    const calls = [1, 2, 3].map((id) => rpc('tools/call', { name: 's__paint', arguments: {} }, id))
    const { json } = await proxy.post('/mcp', calls, as('a'))
    expect(json.filter((one: { result?: unknown }) => one.result !== undefined)).toHaveLength(2)
    expect([left('paint'), doneBy(upstream)]).toEqual([0, 2])
  })
})

test.each([
  ['/mcp', 's__form'],
  ['/mcp/s', 'form'],
])('a call at %s that asks a person first is counted once, when it is done', async (path, name) => {
  await using proxy = await openProxy()
  await using upstream = await openUpstream('v2')
  const server = serverAt('s', upstream.origin, { budgets: budgetOf('form', 1) })
  proxy.use({ agents, servers: { s: server } })
  await until('it is known', () => proxy.gateway.probes.known(server.generation))
  const used = () => proxy.gateway.budgets.uses()?.s?.form?.used
  const headers = { ...as('a'), 'mcp-protocol-version': version, 'mcp-method': 'tools/call', 'mcp-name': name }
  const _meta = { ...meta, 'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} } } }
  const ask = (more: object) => proxy.post(path, rpc('tools/call', { name, arguments: {}, _meta, ...more }), headers)
  const asked = await ask({})
  expect([asked.json.result.resultType, used()]).toEqual(['input_required', 0])
  const { requestState } = asked.json.result
  const done = await ask({ requestState, inputResponses: { who: { action: 'accept', content: { name: 'Ann' } } } })
  expect(done.json.result.content[0].text).toContain('hello Ann')
  expect(used()).toBe(1)
  expect((await ask({})).json.error.message).toContain('is used up')
})

describe('two proxies on one folder', () => {
  let state: string
  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'proxy-'))
  })
  afterEach(() => rm(state, { recursive: true, force: true }))

  test('let pass together what a budget has, through the end of either, and say how much that was', async () => {
    await using controller = await openTableServer()
    await using upstream = await openPainter('legacy')
    const publish = (revision: number, calls: number) =>
      controller.publish({
        ...{ revision, grantsFile: '', agents, starting: [], draining: [] },
        servers: { s: serverAt('s', upstream.origin, { budgets: budgetOf('paint', calls) }) },
      })
    publish(1, 50)
    const open = async (name: string) => {
      const proxy = await openProxyProcess({ name, port: await freePort(), socket: controller.socket, state })
      await until(`${name} has the table`, () => controller.latest.get(name)?.have === 1)
      return proxy
    }
    await using first = await open('p1')
    await using second = await open('p2')
    const passed = async (proxies: readonly { readonly url: string }[], calls: number) => {
      const answers = Array.from({ length: calls }, (_, index) => {
        const path = index % 4 < 2 ? '/mcp' : '/mcp/s'
        const name = path === '/mcp' ? 's__paint' : 'paint'
        return post(
          `${proxies[index % proxies.length]?.url}${path}`,
          rpc('tools/call', { name, arguments: {} }),
          as('a'),
        )
      })
      return (await Promise.all(answers)).filter(({ json }) => json.result !== undefined).length
    }
    expect(await passed([first, second], 30)).toBe(30)
    await first.kill()
    expect(await passed([second], 15)).toBe(15)
    await using third = await open('p3')
    expect(await passed([second, third], 60)).toBe(5)
    expect(doneBy(upstream)).toBe(50)
    publish(2, 52)
    await until('both have it', () => ['p2', 'p3'].every((name) => controller.latest.get(name)?.have === 2))
    expect(await passed([second, third], 10)).toBe(2)
    const told = await until('one of them says so', () => {
      const uses = ['p2', 'p3'].map((name) => controller.latest.get(name)?.budgets?.s?.paint)
      return uses.find((use) => use?.used === 52)
    })
    expect(told).toMatchObject({ calls: 52, per: 'day' })
    expect((told?.resets ?? 1) % 86_400_000).toBe(0)
  })
})
