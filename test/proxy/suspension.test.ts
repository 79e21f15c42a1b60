import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let old: Upstream
const grants = { old: wholeGrant }
const agents = { a: agentWith('a', grants), b: agentWith('b', grants) }
beforeEach(async () => {
  proxy = await openProxy()
  old = await openUpstream('v1-sessions')
  proxy.use({ agents, servers: { old: serverAt('old', old.origin) } })
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
})

const version = '2026-07-28'
const inputResponses = { r1: { action: 'accept', content: { name: 'Ann' } } }

function call(agent: string, more: Record<string, unknown> = {}, capabilities: object = { elicitation: {} }) {
  const headers = { ...as(agent), 'mcp-protocol-version': version, 'mcp-method': 'tools/call', 'mcp-name': 'old__ask' }
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  }
  return proxy.post('/mcp', rpc('tools/call', { name: 'old__ask', arguments: {}, _meta, ...more }, 7), headers)
}

/** What the server was told of it that a call is over. */
const cancelled = () => old.seen.filter(({ body }) => body.includes('notifications/cancelled')).length

describe('a legacy server asks a modern client', () => {
  test('which answers it with its next request', async () => {
    const client = new Client(
      { name: 'test', version: '1' },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: { pin: version } } },
    )
    const asked: string[] = []
    client.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message)
      return { action: 'accept', content: { name: 'Ann' } }
    })
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${proxy.url}/mcp`), { requestInit: { headers: as('a') } }),
    )
    for (const _ of [1, 2])
      expect(JSON.stringify(await client.callTool({ name: 'old__ask', arguments: {} }))).toContain('Ann')
    expect(asked).toEqual(['old: name?', 'old: name?'])
    await client.close()
  })

  test('again while it answers something else', async () => {
    const { result } = (await call('a')).json
    expect(result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { r1: { method: 'elicitation/create' } },
    })
    const { requestState } = result
    const other = (await call('a', { requestState, inputResponses: { another: { action: 'accept' } } })).json
    expect(other.result).toMatchObject({ resultType: 'input_required', inputRequests: { r1: {} } })
    const done = (await call('a', { requestState, inputResponses })).json
    expect([done.id, done.result.resultType]).toEqual([7, 'complete'])
    expect((await call('a', { requestState, inputResponses })).json.error.code).toBe(-32602)
  })

  test('and takes the answer from nobody else, and for no other request', async () => {
    const { requestState } = (await call('a')).json.result
    for (const answer of [
      await call('b', { requestState, inputResponses }),
      await call('a', { requestState, inputResponses, arguments: { other: true } }),
      await call('a', { requestState: `${requestState.slice(0, -3)}AAA`, inputResponses }),
    ])
      expect(answer.json.error).toMatchObject({ code: -32602, message: expect.stringContaining('requestState') })
    expect((await call('a', { requestState, inputResponses })).json.result.resultType).toBe('complete')
  })

  test('only if that says that it can be asked', async () => {
    expect((await call('a', {}, {})).json.result).toMatchObject({ isError: true })
    expect((await call('a', {}, { sampling: {} })).json.result).toMatchObject({ isError: true })
  })

  test('and is told when its agent loses the server', async () => {
    const { requestState } = (await call('a')).json.result
    proxy.use({ agents: { b: agents.b, a: agentWith('a', {}) }, servers: { old: serverAt('old', old.origin) } })
    await until('the call is cancelled', () => cancelled() === 1)
    proxy.use({ agents, servers: { old: serverAt('old', old.origin) } })
    const { error } = (await call('a', { requestState, inputResponses })).json
    expect(error.message).toContain('taken away')
  })
})
