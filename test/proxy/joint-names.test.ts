import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { jointName, originals } from '../../proxy/names.ts'
import { reportOf } from '../../proxy/report.ts'
import { oddText, runs } from '../support/property.ts'
import { agentWith, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, enter } from '../support/wire.ts'

const prefix = fc
  .tuple(fc.constantFrom(...'abcXYZ'), fc.string({ unit: fc.constantFrom(...'abZ09-'), maxLength: 20 }))
  .map((parts) => parts.join(''))

describe('(F20) the names of 10,000 tools on the joint endpoint', () => {
  test('lead back to what they stand for, in whatever order they are listed', () => {
    const tools = fc.uniqueArray(oddText, { minLength: 10, maxLength: 10 })
    fc.assert(
      fc.property(fc.oneof(prefix, fc.constant('')), tools, (own, names) => {
        const [there, back] = [originals(own, names), originals(own, names.toReversed())]
        for (const name of names) {
          expect(there.get(jointName(own, name))).toBe(name)
          expect(back.get(jointName(own, name))).toBe(name)
        }
      }),
      runs(1_000),
    )
  })

  test('are at most 48 characters that every model takes, 64 with the longest prefix, and no two servers’ are the same', () => {
    fc.assert(
      fc.property(prefix, prefix, oddText, oddText, (one, other, tool, more) => {
        const name = jointName(one, tool)
        expect(name).toMatch(/^[A-Za-z0-9_-]{1,48}$/)
        expect(jointName('', tool)).toMatch(/^[A-Za-z0-9_-]{1,48}$/)
        expect(jointName(one, tool)).toBe(name)
        if (one !== other) expect(jointName(other, more)).not.toBe(name)
      }),
      runs(10_000),
    )
    for (let length = 1; length <= 48; length++)
      expect(jointName('p'.repeat(length), 'a.b'.repeat(40)).length).toBeLessThanOrEqual(length < 32 ? 48 : 64)
  })
})

/** Three servers of which two have everything under one name, and two the same address. */
const shared = 'https://example.test/page'
const saying = (who: string, lead = '') =>
  openRawServer({
    era: 'legacy',
    capabilities: { prompts: {}, resources: {} },
    tools: { [`${lead}echo`]: () => textResult(who) },
    methods: {
      'prompts/list': () => ({ prompts: [{ name: `${lead}greet` }] }),
      'prompts/get': () => ({ messages: [{ role: 'user', content: { type: 'text', text: who } }] }),
      'resources/list': () => ({
        resources: [
          { uri: lead === '' ? 'demo://one' : 'named+demo://one', name: 'one' },
          { uri: shared, name: 'page' },
        ],
      }),
      'resources/templates/list': () => ({ resourceTemplates: [] }),
      'resources/read': ({ params }) => ({ contents: [{ uri: params.uri, text: who }] }),
    },
  })

let proxy: OpenProxy
let named: RawServer
let bare: RawServer
beforeEach(async () => {
  proxy = await openProxy()
  named = await saying('named')
  bare = await saying('bare', 'named__')
})
afterEach(async () => {
  for (const one of [proxy, named, bare]) await one[Symbol.asyncDispose]()
})

/** `bare` has no prefix; `a-` or `z-` decide which of the two is listed first. */
async function use(name: string, grants: readonly string[] = ['named', name]) {
  const servers = { named: serverAt('named', named.origin), [name]: serverAt(name, bare.origin, { prefix: '' }) }
  proxy.use({ agents: { a: agentWith('a', Object.fromEntries(grants.map((one) => [one, wholeGrant]))) }, servers })
  const { probes } = proxy.gateway
  await until('both are known', () => Object.values(servers).every(({ generation }) => probes.known(generation)))
  return servers[name]?.generation ?? ''
}

async function reached(era: 'legacy' | 'modern') {
  const way = await enter(proxy, { path: '/mcp', era, agent: 'a' })
  const ask = async (method: string, params = {}) => (await answerTo(way, method, params)).result
  const names = async (method: string, member: string, key: string) => {
    const list = (await ask(method))?.[member]
    return Array.isArray(list) ? list.map((entry) => entry[key]) : []
  }
  return {
    tools: await names('tools/list', 'tools', 'name'),
    prompts: await names('prompts/list', 'prompts', 'name'),
    resources: await names('resources/list', 'resources', 'uri'),
    by: JSON.stringify([
      await ask('tools/call', { name: 'named__echo', arguments: {} }),
      await ask('prompts/get', { name: 'named__greet' }),
      await ask('resources/read', { uri: 'named+demo://one' }),
      await ask('resources/read', { uri: shared }),
    ]).match(/"text":"\w+"/g),
  }
}

const all = (who: string) => Array(4).fill(`"text":"${who}"`)

describe.each(['a-bare', 'z-bare'])('(F20) what %s and another server call the same', (name) => {
  test.each(['legacy', 'modern'] as const)(
    'is listed once, and is that server’s which a call reaches (%s)',
    async (era) => {
      await use(name)
      const seen = await reached(era)
      expect(seen).toEqual({
        tools: ['named__echo'],
        prompts: ['named__greet'],
        resources: expect.toSatisfy((uris: string[]) => [...uris].sort().join() === `${shared},named+demo://one`),
        by: all('named'),
      })
      expect(await reached(era)).toEqual(seen)
      await use(name, [name])
      expect(await reached(era)).toMatchObject({ tools: ['named__echo'], prompts: ['named__greet'], by: all('bare') })
    },
  )

  test('is told to the controller, and logged once', async () => {
    const generation = await use(name)
    const clashes = await until('it is reported', () => reportOf(proxy.gateway, []).generations[generation]?.clashes)
    expect(clashes).toEqual([
      { kind: 'tool', name: 'named__echo', of: 'named' },
      { kind: 'prompt', name: 'named__greet', of: 'named' },
      { kind: 'resource', name: 'named+demo://one', of: 'named' },
      { kind: 'resource', name: shared, of: 'named' },
    ])
    expect(proxy.spoken()).toBeGreaterThan(0)
    const logged = () => proxy.lines.filter(({ msg }) => msg === 'a name at the joint endpoint is taken already')
    expect(logged().length).toBe(4)
    proxy.gateway.inspection.soon(proxy.gateway.holder.current ?? expect.fail('no table'))
    await use(name, ['named'])
    expect(logged().length).toBe(4)
  })
})
