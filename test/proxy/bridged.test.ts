import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { PromptListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { describe, expect, test } from 'vitest'
import type { Grant } from '#manifests/table.ts'
import { openSessionStore } from '../../proxy/session-store.ts'
import { openConformanceServer } from '../support/conformance-server.ts'
import { openPlain } from '../support/mcp-upstream.ts'
import { postModern } from '../support/modern.ts'
import { agentWith, as, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { twoErasForEachTest } from '../support/two-eras.ts'
import { until } from '../support/until.ts'

const both = { old: wholeGrant, fresh: wholeGrant }
const partly: Grant = { tools: ['echo'], prompts: [], resources: [] }
const agents = {
  a: agentWith('a', both),
  b: agentWith('b', both),
  part: agentWith('part', { old: partly, fresh: partly }),
}
const at = twoErasForEachTest(agents)

const initialize = rpc('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'c', version: '1' },
})

async function begin(path: string, agent = 'a') {
  const { headers, json } = await at.proxy.post(path, initialize, as(agent))
  const id = headers.get('mcp-session-id') ?? expect.fail('no session')
  return { headers: { ...as(agent), 'mcp-session-id': id }, result: json.result }
}

const modern = (path: string, method: string, params: Record<string, unknown> = {}, agent = 'a') =>
  postModern(at.proxy, { path, method, params, agent, id: 'x', capabilities: { elicitation: {} } })

const names = (entries: readonly { readonly name: string }[]) => entries.map(({ name }) => name)

describe('a legacy client of a server that is only modern', () => {
  test('has a session, in which the server looks as it is', async () => {
    const { headers, result } = await begin('/mcp/fresh')
    expect(result).toMatchObject({ protocolVersion: '2025-11-25', serverInfo: { name: 'new', version: '2' } })
    const { tools } = (await at.proxy.post('/mcp/fresh', rpc('tools/list'), headers)).json.result
    expect(names(tools)).toEqual(expect.arrayContaining(['echo', 'form']))
    const { resources } = (await at.proxy.post('/mcp/fresh', rpc('resources/list'), headers)).json.result
    expect(resources).toMatchObject([{ uri: 'demo://one' }])
  })

  test('has a session that is good for nobody and nothing else', async () => {
    const { headers } = await begin('/mcp/fresh')
    const elsewhere = [
      await at.proxy.post('/mcp/fresh', rpc('ping'), { ...headers, ...as('b') }),
      await at.proxy.post('/mcp/old', rpc('ping'), headers),
      await at.proxy.post('/mcp', rpc('ping'), headers),
    ]
    expect(elsewhere.map(({ status }) => status)).toEqual([404, 404, 404])
    expect((await at.proxy.post('/mcp/fresh', rpc('ping'), headers)).json.result).toEqual({})
    expect((await fetch(`${at.proxy.url}/mcp/fresh`, { method: 'DELETE', headers })).status).toBe(204)
    expect((await at.proxy.post('/mcp/fresh', rpc('ping'), headers)).status).toBe(404)
  })

  test('keeps it when the proxy is replaced', async () => {
    using store = openSessionStore(':memory:')
    const first = await openProxy({ store })
    first.use({ agents, servers: at.servers() })
    await until('the server is known', () => first.gateway.probes.known(at.servers().fresh.generation))
    const opened = await first.post('/mcp/fresh', initialize, as('a'))
    const headers = { ...as('a'), 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
    await first[Symbol.asyncDispose]()
    await using second = await openProxy({ store })
    second.use({ agents, servers: at.servers() })
    const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'still here' } })
    expect((await second.post('/mcp/fresh', echo, headers)).text).toContain('still here')
    expect((await second.post('/mcp', rpc('ping'), headers)).status).toBe(404)
  })

  test('loses it with the grant', async () => {
    const { headers } = await begin('/mcp/fresh')
    at.proxy.use({ agents: { a: agentWith('a', { old: wholeGrant }) }, servers: at.servers() })
    at.proxy.use({ agents, servers: at.servers() })
    expect((await at.proxy.post('/mcp/fresh', rpc('ping'), headers)).status).toBe(404)
  })

  test('sees and uses what is granted', async () => {
    const { headers } = await begin('/mcp/fresh', 'part')
    expect(names((await at.proxy.post('/mcp/fresh', rpc('tools/list'), headers)).json.result.tools)).toEqual(['echo'])
    const call = async (name: string) =>
      (await at.proxy.post('/mcp/fresh', rpc('tools/call', { name }), headers)).json.error
    expect((await call('secret')).code).toBe(-32602)
    expect(JSON.stringify(await call('secret')).replace('secret', 'absent')).toBe(JSON.stringify(await call('absent')))
  })
})

describe('a modern client of a server that is only legacy', () => {
  test('finds the server as it is', async () => {
    const { result } = (await modern('/mcp/old', 'server/discover')).json
    expect(result).toMatchObject({
      supportedVersions: ['2026-07-28'],
      cacheScope: 'private',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'old', version: '1' } },
    })
    const { tools } = (await modern('/mcp/old', 'tools/list')).json.result
    expect(names(tools)).toEqual(expect.arrayContaining(['echo', 'dotted.name']))
    const called = (await modern('/mcp/old', 'tools/call', { name: 'dotted.name', arguments: {} })).json
    expect(called).toMatchObject({ id: 'x', result: { content: [{ text: 'dotted' }], resultType: 'complete' } })
    const read = (await modern('/mcp/old', 'resources/read', { uri: 'demo://two' })).json.result
    expect(read.contents).toMatchObject([{ text: 'two' }])
  })

  test('is told in its era what does not exist', async () => {
    const answer = await modern('/mcp/old', 'tasks/list')
    expect([answer.status, answer.json.error.code, answer.json.id]).toEqual([404, -32601, 'x'])
    const missing = (await modern('/mcp/old', 'resources/read', { uri: 'demo://none' })).json.error
    expect(missing.code).toBe(-32602)
  })

  test('sees what is granted', async () => {
    expect(names((await modern('/mcp/old', 'tools/list', {}, 'part')).json.result.tools)).toEqual(['echo'])
    const refused = (await modern('/mcp/old', 'tools/call', { name: 'secret', arguments: {} }, 'part')).json
    expect(refused.error.code).toBe(-32602)
  })
})

test('a modern client of the joint endpoint is told who asks', async () => {
  const { result } = (await modern('/mcp', 'tools/call', { name: 'fresh__form', arguments: {} })).json
  expect(result.inputRequests.who.params.message).toBe('fresh: name?')
  const straight = (await modern('/mcp/fresh', 'tools/call', { name: 'form', arguments: {} })).json.result
  expect(straight.inputRequests.who.params.message).toBe('name?')
})

test('a legacy client hears at once of prompts that a modern server says changed', async () => {
  await using suite = await openConformanceServer('modern')
  const one = { suite: serverAt('suite', suite.origin, { prefix: '' }) }
  at.proxy.use({ agents: { a: agentWith('a', { suite: wholeGrant }) }, servers: one })
  await until('it is listened to', () => suite.seen.some(({ body }) => body.includes('subscriptions/listen')))
  for (const path of ['/mcp', '/mcp/suite']) {
    const client = new LegacyClient({ name: 'test', version: '1' })
    let heard = 0
    client.setNotificationHandler(PromptListChangedNotificationSchema, () => void heard++)
    await client.connect(new LegacyTransport(new URL(at.proxy.url + path), { requestInit: { headers: as('a') } }))
    await client.callTool({ name: 'test_trigger_prompt_change' })
    await until('it hears of it', () => heard > 0, 2_000)
    await client.close()
  }
})

test('nobody else may keep what a modern server lets all keep', async () => {
  const anybody = { tools: [], resultType: 'complete', ttlMs: 60_000, cacheScope: 'public' }
  await using loose = await openPlain(() => anybody)
  at.proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', loose.origin) } })
  const { result } = (await modern('/mcp/s', 'tools/list')).json
  expect(result).toEqual({ tools: [], resultType: 'complete', ttlMs: 0, cacheScope: 'private' })
})
