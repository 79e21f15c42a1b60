import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter } from '../support/wire.ts'

let proxy: OpenProxy
let upstream: Upstream
beforeEach(async () => {
  proxy = await openProxy()
  upstream = await openUpstream('v2')
  const wiki = serverAt('hidden-wiki', upstream.origin)
  const agents = { newcomer: agentWith('newcomer', {}), insider: agentWith('insider', { 'hidden-wiki': wholeGrant }) }
  proxy.use({ agents, servers: { 'hidden-wiki': wiki } })
  await until('the server is known', () => proxy.gateway.probes.known(wiki.generation))
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

describe.each(['legacy', 'modern'] as const)('(F18) an agent without grants, as a %s client,', (era) => {
  const enterAs = (agent: string) => enter(proxy, { path: '/mcp', era, agent })

  test('has empty lists', async () => {
    const way = await enterAs('newcomer')
    expect((await answerTo(way, 'tools/list')).result).toMatchObject({ tools: [] })
    for (const method of ['prompts/list', 'resources/list', 'resources/templates/list'])
      expect((await answerTo(way, method)).error?.code).toBe(-32601)
  })

  test('is told who it is and which file to change, and nothing of other agents and servers', async () => {
    const about = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
    const [method, params] = era === 'legacy' ? (['initialize', about] as const) : (['server/discover', {}] as const)
    const way = await enterAs('newcomer')
    const { 'mcp-session-id': _, ...headers } = way.headers
    const text = await (await askOf({ ...way, headers }, method, params)).text()
    const { result } = JSON.parse(text)
    expect(result.instructions).toBe(
      'newcomer may use no server. Access is granted by a change of agents.newcomer.servers in gateway-repo manifests/permissions.yaml.',
    )
    expect(result.capabilities).toEqual({ tools: { listChanged: true } })
    expect(text).not.toMatch(/insider|hidden|wiki/)
  })

  test('gets the same answer for what there is and what there is not', async () => {
    const way = await enterAs('newcomer')
    const call = async (name: string) => (await answerTo(way, 'tools/call', { name, arguments: {} })).error
    expect(await call('hidden-wiki__echo')).toEqual({ code: -32602, message: 'Unknown tool: hidden-wiki__echo' })
    expect(await call('absent-wiki__echo')).toEqual({ code: -32602, message: 'Unknown tool: absent-wiki__echo' })
    const [there, absent] = await Promise.all(
      ['/mcp/hidden-wiki', '/mcp/absent-wiki'].map((path) =>
        proxy.post(path, rpc('tools/list'), { authorization: way.headers.authorization ?? '' }),
      ),
    )
    expect([there?.status, there?.text]).toEqual([404, absent?.text])
  })
})
