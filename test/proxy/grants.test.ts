import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { matches } from '#manifests/glob.ts'
import type { Grant } from '#manifests/table.ts'
import { judge } from '../../proxy/judge.ts'
import { readBody } from '../../proxy/message.ts'
import { jointName } from '../../proxy/names.ts'
import { sift } from '../../proxy/sift.ts'
import { oddText, runs } from '../support/property.ts'
import { agentWith, type OpenProxy, openProxy, rpc, serverAt } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, askOf, enter, messagesOf, type Said, type Way } from '../support/wire.ts'

/** Not the product's: as a pattern is explained to people, by a regular expression. */
const means = (pattern: string, name: string) =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('[^]*')}$`,
  ).test(name)
const allowed = (patterns: readonly string[], name: string) => patterns.some((pattern) => means(pattern, name))

/** Patterns that have something to do with names: parts of them, and stars. */
const patternsOf = (names: readonly string[]) =>
  fc.array(
    fc.oneof(
      fc.constantFrom('*', '**', '', ...names),
      fc.tuple(fc.constantFrom(...names), fc.nat(20), fc.nat(20)).map(([name, from, to]) => {
        const letters = [...name]
        const [before, after] = [letters.slice(0, from), letters.slice(Math.max(from, letters.length - to))]
        return `${before.join('')}*${after.join('')}`
      }),
    ),
    { maxLength: 3 },
  )
const policy = fc.uniqueArray(oddText, { minLength: 1, maxLength: 5 }).chain((names) =>
  fc.record({
    names: fc.constant(names),
    grant: fc.record({ tools: patternsOf(names), prompts: patternsOf(names), resources: patternsOf(names) }),
  }),
)

/** Quicker than `expect`, which matters 300,000 times. */
function same(what: string, is: unknown, may: boolean): void {
  if (is !== may) throw new Error(`${what}: ${String(is)}, and may: ${may}`)
}

/** What of a list is left, and what may be asked of it, by kind. */
const kinds = [
  ['tools', 'tools', 'name', [(name: string) => rpc('tools/call', { name })]],
  [
    'prompts',
    'prompts',
    'name',
    [
      (name: string) => rpc('prompts/get', { name }),
      (name: string) => rpc('completion/complete', { ref: { type: 'ref/prompt', name }, argument: {} }),
    ],
  ],
  [
    'resources',
    'resources',
    'uri',
    [
      (uri: string) => rpc('resources/read', { uri }),
      (uri: string) => rpc('resources/subscribe', { uri }),
      (uri: string) => rpc('completion/complete', { ref: { type: 'ref/resource', uri }, argument: {} }),
      (uri: string) => rpc('subscriptions/listen', { notifications: { resourceSubscriptions: [uri] } }),
    ],
  ],
] as const

test('(F17) under 10,000 random policies what is listed is what may be called, got, read, completed and subscribed to', () => {
  fc.assert(
    fc.property(policy, ({ names, grant }) => {
      for (const [kind, member, key, asks] of kinds) {
        const list = { jsonrpc: '2.0', id: 1, result: { [member]: names.map((name) => ({ [key]: name })) } }
        const left = JSON.parse(sift(grant, JSON.stringify(list))).result[member]
        const listed = new Set(left.map((entry: Record<string, string>) => entry[key]))
        for (const name of names) {
          const may = allowed(grant[kind], name)
          same(`${kind} ${name} is listed`, listed.has(name), may)
          same(
            'explain',
            grant[kind].some((pattern) => matches(pattern, name)),
            may,
          )
          for (const ask of asks) {
            const [message] = readBody(Buffer.from(JSON.stringify(ask(name)))).messages
            same(JSON.stringify(message?.params), message && judge(grant, message) === undefined, may)
          }
        }
      }
    }),
    runs(10_000),
  )
})

const tools = ['echo', 'search_docs', 'search_all', 'Delete', 'a.b']
const prompts = ['greet', 'greet_all']
const uris = ['demo://one', 'demo://one/two', 'file:///etc/a', 'https://example.test/x']
const server = () =>
  openRawServer({
    era: 'legacy',
    capabilities: { prompts: {}, resources: { subscribe: true }, completions: {} },
    tools: Object.fromEntries(tools.map((name) => [name, () => textResult(name)])),
    methods: {
      'prompts/list': () => ({ prompts: prompts.map((name) => ({ name })) }),
      'prompts/get': () => ({ messages: [] }),
      'resources/list': () => ({ resources: uris.map((uri) => ({ uri, name: uri })) }),
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'resources/read': () => ({ contents: [] }),
      'resources/subscribe': () => ({}),
      'resources/unsubscribe': () => ({}),
      'completion/complete': () => ({ completion: { values: [] } }),
    },
  })

let proxy: OpenProxy
let one: RawServer
let two: RawServer
beforeAll(async () => {
  proxy = await openProxy()
  ;[one, two] = [await server(), await server()]
})
afterAll(async () => {
  for (const each of [proxy, one, two]) await each[Symbol.asyncDispose]()
})

const grantOf = fc.record({ tools: patternsOf(tools), prompts: patternsOf(prompts), resources: patternsOf(uris) })
const listedIn = ({ result }: Said, member: string, key: string): readonly string[] => {
  const list = result?.[member]
  return Array.isArray(list) ? list.map((entry) => String(entry[key])) : []
}
const isRefused = ({ error }: Said) => error?.code === -32602 || error?.code === -32601

describe.each(['legacy', 'modern'] as const)('(F17) through the door, a %s client', (era) => {
  /** What a name of a server's is called where it is asked for. */
  const doors = [
    [
      '/mcp',
      'one',
      (name: string) => jointName('one', name),
      (uri: string) => (uri.startsWith('https:') ? uri : `one+${uri}`),
    ],
    ['/mcp/two', 'two', (name: string) => name, (uri: string) => uri],
  ] as const
  test('can use what it sees, and nothing else, under 30 random policies of two servers', {
    timeout: 120_000,
  }, async () => {
    const servers = { one: serverAt('one', one.origin), two: serverAt('two', two.origin) }
    await fc.assert(
      fc.asyncProperty(grantOf, grantOf, async (forOne: Grant, forTwo: Grant) => {
        proxy.use({ agents: { a: agentWith('a', { one: forOne, two: forTwo }) }, servers })
        await until('both are known', () =>
          Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation)),
        )
        for (const [path, name, toolName, uriName] of doors) {
          const way = await enter(proxy, { path, era, agent: 'a' })
          await agrees(way, {
            grant: { one: forOne, two: forTwo }[name],
            toolName,
            uriName,
            also: path === '/mcp' ? forTwo : undefined,
          })
        }
      }),
      runs(30),
    )
  })
})

interface Agreeing {
  readonly grant: Grant
  /** Of the other server, which may have the same address. */
  readonly also: Grant | undefined
  readonly toolName: (name: string) => string
  readonly uriName: (uri: string) => string
}

async function agrees(way: Way, { grant, also, toolName, uriName }: Agreeing): Promise<void> {
  const list = async (method: string, member: string, key: string) => listedIn(await answerTo(way, method), member, key)
  const [seenTools, seenPrompts] = [
    await list('tools/list', 'tools', 'name'),
    await list('prompts/list', 'prompts', 'name'),
  ]
  const seenUris = await list('resources/list', 'resources', 'uri')
  for (const tool of tools) {
    const name = toolName(tool)
    expect([tool, seenTools.includes(name)]).toEqual([tool, allowed(grant.tools, tool)])
    expect([tool, isRefused(await answerTo(way, 'tools/call', { name, arguments: {} }))]).toEqual([
      tool,
      !seenTools.includes(name),
    ])
  }
  for (const prompt of prompts) {
    const name = toolName(prompt)
    expect([prompt, seenPrompts.includes(name)]).toEqual([prompt, allowed(grant.prompts, prompt)])
    const complete = { ref: { type: 'ref/prompt', name }, argument: { name: 'x', value: '' } }
    for (const answer of [
      await answerTo(way, 'prompts/get', { name }),
      await answerTo(way, 'completion/complete', complete),
    ])
      expect([prompt, isRefused(answer)]).toEqual([prompt, !seenPrompts.includes(name)])
  }
  for (const own of uris) {
    const uri = uriName(own)
    const may = allowed(grant.resources, own) || (uri === own && also !== undefined && allowed(also.resources, own))
    expect([uri, seenUris.includes(uri)]).toEqual([uri, may])
    const complete = { ref: { type: 'ref/resource', uri }, argument: { name: 'x', value: '' } }
    expect([uri, isRefused(await answerTo(way, 'resources/read', { uri }))]).toEqual([uri, !may])
    expect([uri, isRefused(await answerTo(way, 'completion/complete', complete))]).toEqual([uri, !may])
    expect([uri, await isSubscribed(way, uri)]).toEqual([uri, may])
  }
}

async function isSubscribed(way: Way, uri: string): Promise<boolean> {
  if (way.era === 'legacy') return !isRefused(await answerTo(way, 'resources/subscribe', { uri }))
  const response = await askOf(way, 'subscriptions/listen', { notifications: { resourceSubscriptions: [uri] } })
  if (!response.headers.get('content-type')?.startsWith('text/event-stream'))
    return !isRefused(messagesOf(await response.text())[0] ?? {})
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.includes('\n\n')) break
  }
  return text.includes(JSON.stringify(uri))
}
