import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMessageParser } from '../../proxy/sse.ts'
import { runs } from '../support/property.ts'
import { agentWith, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { type Call, openRawServer, type RawServer } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { askOf, enter } from '../support/wire.ts'

/** How a server writes one message as an event. */
interface Framing {
  readonly ends: '\n' | '\r\n' | '\r'
  readonly before: readonly string[]
  /** Written over several lines. */
  readonly isLong: boolean
  readonly space: '' | ' '
}

interface Plan {
  readonly notes: readonly { readonly data: string; readonly framing: Framing }[]
  readonly last: Framing
  readonly bom: boolean
  /** Where the bytes are cut into chunks, in thousandths. */
  readonly cuts: readonly number[]
  /** Where all ends, in thousandths, and how. */
  readonly until: number
  readonly how: 'end' | 'destroy'
  readonly words: string
}

const framing: fc.Arbitrary<Framing> = fc.record({
  ends: fc.constantFrom('\n', '\r\n', '\r'),
  before: fc.array(
    fc.constantFrom(
      ': a comment',
      ':',
      'event: message',
      'id: 7',
      'retry: 10',
      'unknown: field',
      'nothing',
      `: ${'long '.repeat(40_000)}`,
    ),
    { maxLength: 3 },
  ),
  isLong: fc.boolean(),
  space: fc.constantFrom('', ' '),
})
const words = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '\u2028\u2029',
    'data: x',
    '\n\n',
    '\r\r',
    '😀'.repeat(2_000),
    'x'.repeat(300_000),
    '"requestState"',
    '\ufeff',
  ),
)
const plan: fc.Arbitrary<Plan> = fc.record({
  notes: fc.array(fc.record({ data: words, framing }), { maxLength: 4 }),
  last: framing,
  bom: fc.boolean(),
  cuts: fc.array(fc.nat(1_000), { maxLength: 12 }),
  until: fc.oneof({ weight: 3, arbitrary: fc.constant(1_000) }, fc.nat(999)),
  how: fc.constantFrom('end', 'destroy'),
  words,
})

const lineOf = (message: object, { ends, before, isLong, space }: Framing) => {
  const text = isLong ? JSON.stringify(message, undefined, 1) : JSON.stringify(message)
  const data = text.split('\n').map((line) => `data:${space}${line}`)
  return `${[...before, ...data].join(ends)}${ends}${ends}`
}

let now: Plan
const streaming = async ({ response, id }: Call) => {
  const notes = now.notes.map(({ data, framing: how }) => {
    const note = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }
    return lineOf(note, how)
  })
  const content = [{ type: 'text', text: now.words }]
  const result = { jsonrpc: '2.0', id, result: { content, resultType: 'complete' } }
  const bytes = Buffer.from(`${now.bom ? '\ufeff' : ''}${notes.join('')}${lineOf(result, now.last)}`)
  const end = Math.floor((bytes.length * now.until) / 1_000)
  const cuts = now.cuts.map((cut) => Math.floor((end * cut) / 1_000)).toSorted((a, b) => a - b)
  for (const [i, to] of [...cuts, end].entries()) {
    response.write(bytes.subarray(i === 0 ? 0 : cuts[i - 1], to))
    await turn()
  }
  if (now.how === 'destroy' && now.until < 1_000) response.destroy()
  else response.end()
}

let proxy: OpenProxy
let old: RawServer
let fresh: RawServer
beforeAll(async () => {
  proxy = await openProxy()
  old = await openRawServer({ era: 'legacy', tools: { stream: streaming } })
  fresh = await openRawServer({ era: 'modern', tools: { stream: streaming } })
  const servers = { old: serverAt('old', old.origin), new: serverAt('new', fresh.origin) }
  const narrow = { tools: ['stream'], prompts: [], resources: [] }
  const agents = {
    whole: agentWith('whole', { old: wholeGrant, new: wholeGrant }),
    narrow: agentWith('narrow', { old: narrow, new: narrow }),
  }
  proxy.use({ agents, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation)),
  )
})
afterAll(async () => {
  for (const one of [proxy, old, fresh]) await one[Symbol.asyncDispose]()
})

const ways = (['old', 'new'] as const).flatMap((server) =>
  ['/mcp', `/mcp/${server}`].flatMap((path) =>
    (['legacy', 'modern'] as const).flatMap((era) =>
      ['whole', 'narrow'].flatMap((agent) =>
        ['application/json, text/event-stream', 'application/json'].map((accept) => ({
          server,
          path,
          era,
          agent,
          accept,
        })),
      ),
    ),
  ),
)

function parsed(text: string, isStream: boolean): readonly Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = []
  if (isStream) createMessageParser((one) => messages.push(JSON.parse(one))).feed(Buffer.from(text))
  else if (text !== '') messages.push(JSON.parse(text))
  return messages
}

test('whatever an event stream looks like and wherever it is cut, its answer arrives or an error does', {
  timeout: 120_000,
}, async () => {
  const entered = new Map<object, Awaited<ReturnType<typeof enter>>>()
  for (const way of ways) {
    const one = await enter(proxy, way)
    entered.set(way, { ...one, headers: { ...one.headers, accept: way.accept } })
  }
  await fc.assert(
    fc.asyncProperty(plan, fc.constantFrom(...ways), async (given, way) => {
      now = given
      const client = entered.get(way) ?? expect.fail('not entered')
      const name = way.path === '/mcp' ? `${way.server}__stream` : 'stream'
      const response = await askOf(client, 'tools/call', { name, arguments: {} }, 'call')
      const isStream = response.headers.get('content-type') === 'text/event-stream'
      const messages = parsed(await response.text(), isStream)
      const isWhole = given.until === 1_000
      const [answer, ...more] = messages.filter(({ method }) => method === undefined)
      const expected = [{ type: 'text', text: given.words.toWellFormed() }]
      expect(more).toEqual([])
      if (isWhole) expect(answer).toMatchObject({ jsonrpc: '2.0', id: 'call', result: { content: expected } })
      // Who resumes streams at the server itself comes back there for what a clean end left out.
      else if (answer === undefined)
        expect([isStream, way.path, given.how]).toEqual([true, `/mcp/${way.server}`, 'end'])
      else if ('error' in answer) expect(answer).toMatchObject({ id: 'call', error: { code: -32603 } })
      else expect(answer).toMatchObject({ id: 'call', result: { content: expected } })
      for (const { method, params } of messages.slice(0, -1)) {
        expect(method).toBe('notifications/message')
        expect(params).toMatchObject({ level: 'info' })
      }
    }),
    runs(600),
  )
  await until('nothing is left over', () => proxy.gateway.exchanges.size === 0)
  expect(proxy.lines.filter(({ level }) => Number(level) >= 50)).toEqual([])
})
