import { afterEach, beforeEach, expect, test } from 'vitest'
import { agentWith, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { askOf, enter } from '../support/wire.ts'

/** What a server lists now; it never says that anything changed. */
let has: Record<string, { name: string; uri?: string; uriTemplate?: string; description?: string }[]>
let proxy: OpenProxy
const opened: AsyncDisposable[] = []
beforeEach(async () => {
  has = { tools: [], prompts: [{ name: 'p' }], resources: [{ name: 'r', uri: 'demo://r' }], resourceTemplates: [] }
  proxy = await openProxy()
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
})

async function openSilent(era: 'legacy' | 'modern'): Promise<RawServer> {
  const list = (member: string) => () => ({
    [member]: has[member],
    ttlMs: 0,
    cacheScope: 'private',
    resultType: 'complete',
  })
  const server = await openRawServer({
    era,
    capabilities: { tools: {}, prompts: {}, resources: {} },
    methods: {
      'tools/list': list('tools'),
      'prompts/list': list('prompts'),
      'resources/list': list('resources'),
      'resources/templates/list': list('resourceTemplates'),
    },
  })
  opened.push(server)
  return server
}

const changes = [
  ['tools', 'tools', { name: 't', inputSchema: {} }],
  ['prompts', 'prompts', { name: 'q' }],
  ['prompts', 'prompts', { name: 'p', description: 'another one' }],
  ['resources', 'resources', { name: 's', uri: 'demo://s' }],
  ['resources', 'resourceTemplates', { name: 't', uriTemplate: 'demo://{id}' }],
] as const

const ways = (['legacy', 'modern'] as const).flatMap((client) =>
  (['legacy', 'modern'] as const).map((upstream) => ({ client, upstream })),
)

test.each(ways)(
  '(F10) what a $upstream server changes and never tells is found by asking again, and told a $client client once',
  async ({ client, upstream }) => {
    const server = await openSilent(upstream)
    const table = serverAt('s', server.origin)
    proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: table } })
    const { probes } = proxy.gateway
    await until('the server is known', () => probes.known(table.generation))
    let heard = ''
    const way = await enter(proxy, { path: '/mcp', era: client, agent: 'a' })
    const all = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
    const response =
      client === 'legacy'
        ? await fetch(way.url, { headers: way.headers })
        : await askOf(way, 'subscriptions/listen', { notifications: all })
    const reading = (async () => {
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) heard += chunk
    })().catch(() => undefined)
    const told = () => (heard.match(/notifications\/\w+\/list_changed/g) ?? []).map((one) => one.split('/')[1])
    if (client === 'modern') await until('it is acknowledged', () => heard.includes('acknowledged'))
    const expected: string[] = []
    for (const [kind, member, entry] of changes) {
      has[member] = [...(has[member] ?? []), entry]
      expected.push(kind)
      // As the clock does every ten seconds.
      probes.again(table.generation)
      await until(`${member} is told`, () => told().length === expected.length)
      probes.again(table.generation)
      const before = server.seen.length
      await until('it was asked once more', () =>
        server.seen.slice(before).some(({ body }) => body.includes('templates')),
      )
    }
    expect(told()).toEqual(expected)
    await proxy[Symbol.asyncDispose]()
    await reading
  },
)

test('a list that a server does not give leaves what is known of it as it was, and the server well', async () => {
  const server = await openSilent('legacy')
  const table = serverAt('s', server.origin)
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: table } })
  const { probes } = proxy.gateway
  const known = await until('the server is known', () => probes.known(table.generation))
  expect(known.inventory).toMatchObject({ prompts: ['p'], resources: ['demo://r'] })
  Object.assign(has, { prompts: 'none', resources: null, tools: [{ name: 'new', inputSchema: {} }] })
  probes.again(table.generation)
  const again = await until('it was asked again', () => {
    const now = probes.known(table.generation)
    return now?.tools.includes('new') === true && now
  })
  expect(again.inventory).toEqual(known.inventory)
  expect(probes.probe(table.generation)).toMatchObject({ ok: true })
})
