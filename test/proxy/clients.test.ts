import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client'
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream, type UpstreamKind } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'

const kinds: readonly UpstreamKind[] = ['v1-sessions', 'v1-stateless', 'v2', 'v2-strict']
const self = { name: 'test', version: '1' }

interface Tested extends AsyncDisposable {
  tools(): Promise<readonly string[]>
  call(name: string, args: Record<string, unknown>, progress?: (step: number) => void): Promise<unknown>
}

async function legacy(url: string): Promise<Tested> {
  const client = new LegacyClient(self, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ann' } }))
  await client.connect(new LegacyTransport(new URL(url), { requestInit: { headers: as('a') } }))
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args, progress) =>
      client.callTool(
        { name, arguments: args },
        undefined,
        progress && { onprogress: (step) => progress(step.progress) },
      ),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

const modern =
  (mode: 'auto' | { pin: string }) =>
  async (url: string): Promise<Tested> => {
    const client = new ModernClient(self, { capabilities: {}, versionNegotiation: { mode } })
    await client.connect(new ModernTransport(new URL(url), { requestInit: { headers: as('a') } }))
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: (name, args, progress) =>
        client.callTool({ name, arguments: args }, progress && { onprogress: (step) => progress(step.progress) }),
      [Symbol.asyncDispose]: () => client.close(),
    }
  }

const clients = {
  'v1 client': legacy,
  'v2 client (auto)': modern('auto'),
  'v2 client (pinned)': modern({ pin: '2026-07-28' }),
} as const

const pairs = Object.keys(clients).flatMap((client) => kinds.map((kind) => [client, kind] as const))

describe.each(kinds)('in front of %s', (kind) => {
  let upstream: Upstream
  let proxy: OpenProxy
  beforeAll(async () => {
    upstream = await openUpstream(kind)
    proxy = await openProxy()
    proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', upstream.origin) } })
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await upstream[Symbol.asyncDispose]()
  })

  describe.each(Object.entries(clients))('the %s', (_, connect) => {
    test('lists and calls tools at /mcp', async () => {
      await using client = await connect(`${proxy.url}/mcp`)
      expect(await client.tools()).toEqual(expect.arrayContaining(['s__echo', 's__secret']))
      expect(await client.call('s__echo', { text: 'hi' })).toMatchObject({ content: [{ type: 'text', text: 'hi' }] })
    })

    test('gets progress at /mcp', async () => {
      await using client = await connect(`${proxy.url}/mcp`)
      const steps: number[] = []
      expect(await client.call('s__count', {}, (step) => steps.push(step))).toMatchObject({
        content: [{ text: 'counted' }],
      })
      expect(steps).toEqual([1, 2, 3])
    })
  })
})

describe.each(pairs)('the %s at /mcp/<server> of %s', (client, kind) => {
  test('lists, calls and gets progress', async () => {
    await using upstream = await openUpstream(kind)
    await using proxy = await openProxy()
    proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', upstream.origin) } })
    await using connected = await clients[
      client === 'v1 client' ? client : client === 'v2 client (auto)' ? client : 'v2 client (pinned)'
    ](`${proxy.url}/mcp/s`)
    expect(await connected.tools()).toEqual(expect.arrayContaining(['echo', 'secret']))
    const steps: number[] = []
    expect(await connected.call('count', {}, (step) => steps.push(step))).toMatchObject({
      content: [{ text: 'counted' }],
    })
    expect(steps).toEqual([1, 2, 3])
  })
})

test('a v1 client gets the question of a sessionful server through /mcp/<server>', async () => {
  await using upstream = await openUpstream('v1-sessions')
  await using proxy = await openProxy()
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', upstream.origin) } })
  await using client = await legacy(`${proxy.url}/mcp/s`)
  expect(JSON.stringify(await client.call('ask', {}))).toContain('Ann')
})
