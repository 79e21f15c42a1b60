import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSessionStore } from '../../proxy/session-store.ts'
import { openListener, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let folder: string
let upstream: Upstream
const agents = { a: agentWith('a', { s: wholeGrant }), b: agentWith('b', { s: wholeGrant }) }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sessions-'))
  upstream = await openUpstream('v1-sessions')
})
afterEach(async () => {
  await upstream[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

/** A proxy with the folder that the proxies of an instance share. */
async function open() {
  const store = openSessionStore(join(folder, 'state.db'))
  const proxy = await openProxy({ store })
  proxy.use({ agents, servers: { s: serverAt('s', upstream.origin) } })
  return {
    ...proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]()
      store[Symbol.dispose]()
    },
  }
}

const accept = { accept: 'application/json, text/event-stream' }
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }
const call = (path: string) =>
  rpc('tools/call', { name: path === '/mcp' ? 's__echo' : 'echo', arguments: { text: 'hi' } })

async function begin(proxy: OpenProxy, path: string) {
  const { headers } = await proxy.post(path, rpc('initialize', params), { ...as('a'), ...accept })
  const session = { ...accept, 'mcp-session-id': headers.get('mcp-session-id') ?? expect.fail('no session') }
  await proxy.post(path, { jsonrpc: '2.0', method: 'notifications/initialized' }, { ...as('a'), ...session })
  return session
}

describe.each(['/mcp', '/mcp/s'])('a legacy session at %s', (path) => {
  test('outlives its proxy, for its agent alone (F9)', async () => {
    const first = await open()
    const session = await begin(first, path)
    await first[Symbol.asyncDispose]()
    await using second = await open()
    const { text } = await second.post(path, call(path), { ...as('a'), ...session })
    expect(text).toContain('"hi"')
    expect((await second.post(path, call(path), { ...as('b'), ...session })).status).toBe(404)
  })

  test('is served by two proxies at once, and gone from both when it is ended', async () => {
    await using first = await open()
    await using second = await open()
    const session = await begin(first, path)
    for (const proxy of [first, second, first])
      expect((await proxy.post(path, call(path), { ...as('a'), ...session })).text).toContain('"hi"')
    await fetch(first.url + path, { method: 'DELETE', headers: { ...as('a'), ...session } })
    await using third = await open()
    expect((await third.post(path, call(path), { ...as('a'), ...session })).status).toBe(404)
  })

  test('is checked by the grants of now', async () => {
    const first = await open()
    const session = await begin(first, path)
    await first[Symbol.asyncDispose]()
    await using second = await open()
    second.use({ agents: { a: agentWith('a', {}) }, servers: { s: serverAt('s', upstream.origin) } })
    const { json, status } = await second.post(path, call(path), { ...as('a'), ...session })
    if (path === '/mcp') expect(json.error).toMatchObject({ code: -32602, message: 'Unknown tool: s__echo' })
    else expect([status, json]).toEqual([404, { error: 'not_found' }])
  })

  test('goes on when its server was restarted, or replaced, without its client noticing (F8)', async () => {
    await using proxy = await open()
    const session = await begin(proxy, path)
    const say = async () => (await proxy.post(path, call(path), { ...as('a'), ...session })).text
    expect(await say()).toContain('"hi"')
    await forget()
    expect(await say()).toContain('"hi"')
    await using other = await openUpstream('v1-sessions')
    proxy.use({ agents, servers: { s: serverAt('s', other.origin) } })
    expect(await say()).toContain('"hi"')
    expect(other.seen.some(({ body }) => body.includes('tools/call'))).toBe(true)
  })

  test('is dispatched once, whatever becomes of its server (F8)', async () => {
    await using proxy = await open()
    const session = await begin(proxy, path)
    const name = path === '/mcp' ? 's__pause' : 'pause'
    const answer = proxy.post(path, rpc('tools/call', { name }), { ...as('a'), ...session }).catch(String)
    const sent = () => upstream.seen.filter(({ body }) => body.includes('"pause"')).length
    await until('the call is on its way', () => sent() === 1)
    const { origin } = upstream
    await upstream[Symbol.asyncDispose]()
    expect(JSON.stringify(await answer)).toMatch(/does not answer|terminated|aborted/)
    expect([sent(), origin]).toEqual([1, upstream.origin])
  })
})

/** Ends all sessions at the server, as its restart would. */
async function forget(): Promise<void> {
  const ids = new Set(upstream.seen.flatMap(({ headers }) => headers['mcp-session-id'] ?? []))
  for (const id of ids)
    await fetch(`${upstream.origin}/mcp`, { method: 'DELETE', headers: { 'mcp-session-id': String(id) } })
}

test('a session at a server is begun anew once, however many of its calls hear that it is lost', async () => {
  await using lossy = await openLossy()
  await using proxy = await open()
  proxy.use({ agents, servers: { s: serverAt('s', lossy.origin) } })
  const headers = { ...as('a'), ...(await begin(proxy, '/mcp/s')) }
  const ask = (name: string) => proxy.post('/mcp/s', rpc('tools/call', { name }), headers)
  const late = ask('late')
  await until('it is on its way', () => lossy.seen.some(({ body }) => body.includes('late')))
  const first = (await ask('first')).json.result.in
  lossy.release()
  expect((await late).json.result.in).toBe(first)
})

/** A legacy server that lost whatever session came first, and says so to `late` only when it is released. */
async function openLossy() {
  const { promise, resolve } = Promise.withResolvers<void>()
  let clients = 0
  const lost = new Set<string>()
  const listener = await openListener(async (request, response) => {
    const { id, method, params: asked } = JSON.parse(Buffer.concat(await request.toArray()).toString() || '{}')
    const session = String(request.headers['mcp-session-id'] ?? '')
    const answer = (status: number, body: object, headers: object = {}) =>
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(JSON.stringify({ jsonrpc: '2.0', id, ...body }))
    const error = { code: -32001, message: 'Session not found' }
    if (request.method !== 'POST') return answer(405, { error })
    if (id === undefined) return response.writeHead(202).end()
    const isClient = method === 'initialize' && asked.clientInfo.name === 'c'
    const given = `session-${isClient ? ++clients : 'of a probe'}`
    if (isClient && clients === 1) lost.add(given)
    const capabilities = {}
    const about = { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'lossy', version: '1' } }
    if (method === 'initialize') return answer(200, { result: about }, { 'mcp-session-id': given })
    if (method !== 'tools/call') return answer(400, { error: { code: -32000, message: 'no' } })
    if (asked.name === 'late' && lost.has(session)) await promise
    return lost.has(session) ? answer(404, { error }) : answer(200, { result: { content: [], in: session } })
  })
  return { ...listener, release: () => resolve() }
}

test('a disk that fails keeps no table from taking effect, and no client from calling', async () => {
  const store = openSessionStore(join(folder, 'state.db'))
  await using proxy = await openProxy({ store })
  const servers = { s: serverAt('s', upstream.origin) }
  proxy.use({ agents, servers })
  const session = await begin(proxy, '/mcp/s')
  store[Symbol.dispose]()
  const fresh = serverAt('t', upstream.origin)
  proxy.use({ agents, servers: { ...servers, t: fresh } })
  await until('the new server is asked', () => proxy.gateway.probes.probe(fresh.generation)?.ok === true)
  for (const path of ['/mcp', '/mcp/s']) {
    const begun = await begin(proxy, path)
    expect((await proxy.post(path, call(path), { ...as('a'), ...begun })).text).toContain('"hi"')
  }
  expect((await proxy.post('/mcp/s', call('/mcp/s'), { ...as('a'), ...session })).text).toContain('"hi"')
  expect(proxy.lines.map(({ msg }) => msg)).toContain('sessions could not be stored')
})
