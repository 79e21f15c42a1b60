import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Grant } from '#manifests/table.ts'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { postModern } from '../support/modern.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
let old: Upstream
let fresh: Upstream
const partly: Grant = { tools: ['*'], prompts: ['greet'], resources: ['demo://item/*'] }
const agents = {
  a: agentWith('a', { old: wholeGrant, fresh: wholeGrant }),
  b: agentWith('b', { old: partly, fresh: partly }),
  c: agentWith('c', { fresh: { tools: ['*'], prompts: [], resources: [] } }),
}
beforeEach(async () => {
  proxy = await openProxy()
  old = await openUpstream('v1-sessions')
  fresh = await openUpstream('v2')
  await serve({})
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await old[Symbol.asyncDispose]()
  await fresh[Symbol.asyncDispose]()
})

async function serve(more: { readonly prefix?: string }) {
  const servers = { old: serverAt('old', old.origin), fresh: serverAt('fresh', fresh.origin, more) }
  proxy.use({ agents, servers })
  await until('both are known', () =>
    Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation) !== undefined),
  )
}

/** Asks in either era and gives the result, or the error. */
async function ask(era: 'legacy' | 'modern', method: string, params: Record<string, unknown> = {}, agent = 'a') {
  if (era === 'legacy') return answered(await proxy.post('/mcp', rpc(method, params), as(agent)))
  return answered(await postModern(proxy, { method, params, agent }))
}

function answered({ json }: Awaited<ReturnType<OpenProxy['post']>>) {
  return json.result ?? json.error
}

const uris = (entries: readonly { readonly uri: string }[]) => entries.map(({ uri }) => uri)

describe.each(['legacy', 'modern'] as const)('a %s client of the joint endpoint', (era) => {
  test('is told what there is', async () => {
    const method = era === 'legacy' ? 'initialize' : 'server/discover'
    const params = era === 'legacy' ? { protocolVersion: '2025-11-25', capabilities: {} } : {}
    expect((await ask(era, method, params)).capabilities).toEqual({
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      completions: {},
      logging: {},
    })
    expect((await ask(era, method, params, 'c')).capabilities).toEqual({ tools: { listChanged: true } })
    expect((await ask(era, 'prompts/list', {}, 'c')).code).toBe(-32601)
  })

  test('lists and gets the prompts of all servers', async () => {
    const { prompts } = await ask(era, 'prompts/list')
    expect(prompts.map(({ name }: { name: string }) => name)).toEqual(['fresh__paint', 'old__greet'])
    const painted = await ask(era, 'prompts/get', { name: 'fresh__paint', arguments: { word: 'red' } })
    expect(painted.messages[0].content.text).toBe('red')
    expect((await ask(era, 'prompts/get', { name: 'old__greet' })).messages[0].content.text).toBe('hello')
  })

  test('lists and reads resources, of which two servers may have the same', async () => {
    expect(uris((await ask(era, 'resources/list')).resources)).toEqual([
      'fresh+demo://one',
      'old+demo://one',
      'old+demo://two',
    ])
    const texts = { 'fresh+demo://one': 'new one', 'old+demo://one': 'one', 'old+demo://two': 'two' }
    for (const [uri, text] of Object.entries(texts))
      expect(await ask(era, 'resources/read', { uri })).toMatchObject({ contents: [{ uri, text }] })
  })

  test('reads what a template makes', async () => {
    const { resourceTemplates } = await ask(era, 'resources/templates/list')
    expect(resourceTemplates).toMatchObject([{ uriTemplate: 'fresh+demo://item/{id}', name: 'item' }])
    const uri = 'fresh+demo://item/17'
    expect(await ask(era, 'resources/read', { uri })).toMatchObject({ contents: [{ uri, text: 'item 17' }] })
  })

  test('has arguments completed', async () => {
    const complete = async (ref: object, argument: object) =>
      (await ask(era, 'completion/complete', { ref, argument })).completion.values
    const prompt = { type: 'ref/prompt', name: 'fresh__paint' }
    expect(await complete(prompt, { name: 'word', value: 'g' })).toEqual(['green'])
    const template = { type: 'ref/resource', uri: 'fresh+demo://item/{id}' }
    expect(await complete(template, { name: 'id', value: '1' })).toEqual(['17'])
  })

  test('can read what a tool points to', async () => {
    const { content } = await ask(era, 'tools/call', { name: 'fresh__link', arguments: {} })
    expect(content).toMatchObject([
      { type: 'resource_link', uri: 'fresh+demo://one', name: 'one' },
      { type: 'resource', resource: { uri: 'fresh+demo://item/1', text: 'item 1' } },
    ])
    expect(await ask(era, 'resources/read', { uri: content[0].uri })).toMatchObject({ contents: [{ text: 'new one' }] })
  })

  test('gets no answer that tells what is not granted from what is not there', async () => {
    const { prompts } = await ask(era, 'prompts/list', {}, 'b')
    expect(prompts.map(({ name }: { name: string }) => name)).toEqual(['old__greet'])
    expect((await ask(era, 'resources/list', {}, 'b')).resources).toEqual([])
    const same = async (method: string, key: string, [there, absent]: readonly [string, string]) => {
      const [one, other] = [
        await ask(era, method, { [key]: there }, 'b'),
        await ask(era, method, { [key]: absent }, 'b'),
      ]
      expect(one.code).toBe(-32602)
      expect(JSON.stringify(one).replaceAll(there, absent)).toBe(JSON.stringify(other))
    }
    await same('prompts/get', 'name', ['fresh__paint', 'fresh__nopaint'])
    await same('resources/read', 'uri', ['fresh+demo://one', 'fresh+demo://none'])
    await same('resources/read', 'uri', ['old+demo://one', 'nobody+demo://one'])
  })

  test('hears of a resource that is not there by its name here', async () => {
    const gone = await ask(era, 'resources/read', { uri: 'fresh+demo://none' })
    expect(gone.code).toBe(-32602)
    expect(gone.data.uri).toBe('fresh+demo://none')
  })

  test('uses names and URIs as they are where the manifest takes the prefix away', async () => {
    await serve({ prefix: '' })
    expect(uris((await ask(era, 'resources/list')).resources)).toEqual([
      'demo://one',
      'old+demo://one',
      'old+demo://two',
    ])
    expect(await ask(era, 'resources/read', { uri: 'demo://item/4' })).toMatchObject({ contents: [{ text: 'item 4' }] })
    const painted = await ask(era, 'prompts/get', { name: 'paint', arguments: { word: 'red' } })
    expect(painted.messages[0].content.text).toBe('red')
  })
})

test('a resource may be kept by its agent alone', async () => {
  expect(await ask('modern', 'resources/read', { uri: 'old+demo://one' })).toMatchObject({
    resultType: 'complete',
    ttlMs: 0,
    cacheScope: 'private',
  })
})
