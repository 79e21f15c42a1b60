import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Pool } from 'undici'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeGateway } from '../../proxy/gateway.ts'
import type { Limits } from '../../proxy/limits.ts'
import { openSessionStore, type SessionStore } from '../../proxy/session-store.ts'
import { openListener, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

/** A legacy server that only keeps sessions: which are open, and how many were ended at once at most. */
async function openKeeper() {
  const open = new Set<string>()
  const ending = { now: 0, most: 0 }
  let count = 0
  const upstream = await openListener(async (request, response) => {
    if (request.method === 'GET') return response.writeHead(405).end()
    if (request.method === 'DELETE') {
      ending.most = Math.max(ending.most, ++ending.now)
      await sleep(1)
      ending.now--
      open.delete(String(request.headers['mcp-session-id']))
      return response.writeHead(204).end()
    }
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    if (id === undefined) return response.writeHead(202).end()
    const result = {
      protocolVersion: '2025-11-25',
      capabilities: {},
      serverInfo: { name: 'k', version: '1' },
      tools: [{ name: 't', inputSchema: { type: 'object' } }],
      content: [],
    }
    const isOpening = method === 'initialize'
    const sessionId = `kept-${++count}`
    if (isOpening) open.add(sessionId)
    const error = { code: -32601, message: 'unknown' }
    const known = isOpening || ['tools/list', 'tools/call', 'ping'].includes(method)
    response.writeHead(200, { 'content-type': 'application/json', ...(isOpening && { 'mcp-session-id': sessionId }) })
    response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(known ? { result } : { error }) }))
  })
  return { upstream, open, ending }
}

const grants = { s: wholeGrant }
const agents = { a: agentWith('a', grants), b: agentWith('b', grants), c: agentWith('c', grants) }
const opening = rpc('initialize', {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'c', version: '1' },
})

let keeper: Awaited<ReturnType<typeof openKeeper>>
let store: SessionStore
let proxy: OpenProxy
let upstream: Upstream
const opened: AsyncDisposable[] = []
beforeEach(async () => {
  keeper = await openKeeper()
  upstream = keeper.upstream
  store = openSessionStore(':memory:')
})
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
  store[Symbol.dispose]()
})

async function begin(limits: Partial<Limits>) {
  proxy = await openProxy({ store, limits })
  proxy.use({ agents, servers: { s: serverAt('s', upstream.origin) } })
  await until('the server is known', () => proxy.gateway.probes.known(serverAt('s', upstream.origin).generation))
}

async function open(path: string, agent = 'a') {
  const { status, headers, json } = await proxy.post(path, opening, as(agent))
  return { status, id: headers.get('mcp-session-id') ?? '', json }
}
const ping = async (path: string, id: string, agent = 'a') =>
  (await proxy.post(path, rpc('ping'), { ...as(agent), 'mcp-session-id': id })).status

/** Holds a session's stream open, or a call of it where its server has no stream. */
async function hold(path: string, id: string, agent = 'a') {
  const stop = new AbortController()
  opened.push({ [Symbol.asyncDispose]: async () => stop.abort() })
  const headers = { ...as(agent), 'mcp-session-id': id, accept: 'text/event-stream' }
  const { status } = await fetch(proxy.url + path, { headers, signal: stop.signal })
  return status
}

describe.each(['/mcp', '/mcp/s'])('(F24) a legacy session at %s', (path) => {
  test('that nobody uses ends after its time without a DELETE, here, where it is stored, and at its server', async () => {
    await begin({ sessionIdle: 400, review: 50 })
    const { id } = await open(path)
    expect(await ping(path, id)).toBe(200)
    expect(store.find(id)).toBeDefined()
    await until('it is forgotten', () => store.find(id) === undefined)
    await until('its server has ended it', () => keeper.open.size === 0)
    expect(await ping(path, id)).toBe(404)
  })

  test('makes room for another of the same agent when it was idle for longest, and no other agent’s does', async () => {
    await begin({ sessionsOfAgent: 3 })
    const other = await open(path, 'b')
    const [first, second] = [await open(path), await open(path)]
    await open(path)
    await sleep(2)
    expect(await ping(path, first.id)).toBe(200)
    expect((await open(path)).status).toBe(200)
    expect([await ping(path, first.id), await ping(path, second.id)]).toEqual([200, 404])
    expect(await ping(path, other.id, 'b')).toBe(200)
  })

  test('makes room where all agents together have too many only if its agent has most', async () => {
    await begin({ sessions: 4 })
    const [a1, b1] = [await open(path, 'a'), await open(path, 'b')]
    await open(path, 'b')
    await open(path, 'b')
    expect((await open(path, 'c')).status).toBe(200)
    expect([await ping(path, a1.id, 'a'), await ping(path, b1.id, 'b')]).toEqual([200, 404])
  })
})

test('(F24) sessions that are in use make no room: the next one is refused with 429, and told so', async () => {
  await begin({ sessionsOfAgent: 2, sessionIdle: 100, review: 30 })
  for (const { id } of [await open('/mcp'), await open('/mcp')]) expect(await hold('/mcp', id)).toBe(200)
  const { status, json, id } = await open('/mcp')
  expect([status, json.id, json.error.code, id]).toEqual([429, 1, -32000, ''])
  expect(json.error.message).toMatch(/2 of them are in use/)
  await sleep(200)
  expect((await open('/mcp')).status).toBe(429)
  expect((await open('/mcp', 'b')).status).toBe(200)
})

test('(F24) sessions that end together do not storm their server', async () => {
  await begin({ sessionIdle: 60_000, review: 20 })
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 20 }, () => open('/mcp/s')))
  expect(keeper.open.size).toBeGreaterThanOrEqual(400)
  proxy.use({ agents: { b: agents.b }, servers: { s: serverAt('s', upstream.origin) } })
  await until('all are ended', () => keeper.open.size === 0)
  expect(keeper.ending.most).toBeLessThanOrEqual(17)
})

test('(F24) a proxy that leaves ends what its sessions have at their servers, however many', async () => {
  await begin({})
  const ids = (await Promise.all(Array.from({ length: 40 }, () => open('/mcp')))).map(({ id }) => id)
  await Promise.all(
    ids.map((id) => proxy.post('/mcp', rpc('tools/call', { name: 's__t' }), { ...as('a'), 'mcp-session-id': id })),
  )
  expect(keeper.open.size).toBeGreaterThanOrEqual(40)
  await closeGateway(proxy.gateway)
  expect(keeper.open.size).toBe(0)
})

test('(F24) 20,000 abandoned sessions cost nothing after their time', { timeout: 300_000 }, async () => {
  await begin({ sessionsOfAgent: 20_000, sessionIdle: 60_000 })
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const before = process.memoryUsage().heapUsed
  const pool = new Pool(proxy.url, { connections: 8, pipelining: 16 })
  const headers = { ...as('a'), 'content-type': 'application/json' }
  const ids: string[] = []
  const one = async () => {
    const answer = await pool.request({ path: '/mcp', method: 'POST', headers, body: JSON.stringify(opening) })
    ids.push(String(answer.headers['mcp-session-id']))
    await answer.body.dump()
  }
  for (let round = 0; round < 100; round++) await Promise.all(Array.from({ length: 200 }, one))
  await pool.close()
  expect(new Set(ids).size).toBe(20_000)
  proxy.gateway.hosting.review(proxy.gateway.holder.current ?? expect.fail('no table'), Date.now() + 61_000)
  expect(ids.filter((id) => store.find(id) !== undefined)).toEqual([])
  const grown = await until('its memory is free', () => {
    collect()
    const more = process.memoryUsage().heapUsed - before
    return more < 20_000_000 && { more }
  })
  expect(grown.more).toBeLessThan(20_000_000)
  expect(await ping('/mcp', ids[0] ?? '')).toBe(404)
})
