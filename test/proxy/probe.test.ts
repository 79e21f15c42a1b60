import { afterEach, beforeEach, expect, test } from 'vitest'
import { openListener, openUpstream, type UpstreamKind } from '../support/mcp-upstream.ts'
import { type OpenProxy, openProxy, serverAt } from '../support/proxy.ts'
import { until } from '../support/until.ts'

let proxy: OpenProxy
beforeEach(async () => {
  proxy = await openProxy()
})
afterEach(() => proxy[Symbol.asyncDispose]())

const starting = (upstream: string, more: { health?: string } = {}) => [
  { generation: 's@1', server: 's', upstream, path: '/mcp', ...more },
]
const probe = () => proxy.gateway.probes.probe('s@1')
const kinds: readonly (readonly [UpstreamKind, 'modern' | 'legacy'])[] = [
  ['v1-sessions', 'legacy'],
  ['v1-stateless', 'legacy'],
  ['v2', 'modern'],
  ['v2-strict', 'modern'],
]

test.each(kinds)('%s is ready after three good answers, is %s, and keeps no session', async (kind, era) => {
  await using upstream = await openUpstream(kind)
  proxy.use({ starting: starting(upstream.origin) })
  const ready = await until('three good answers', () => (probe()?.good === 3 ? probe() : undefined))
  expect(ready).toMatchObject({ ok: true, good: 3, era, tools: expect.arrayContaining(['echo', 'count']) })
  await until('no session is left', () => upstream.sessions === 0)
  expect(proxy.spoken()).toBe(2)
})

test('the health path is asked first, and counts', async () => {
  let status = 503
  await using upstream = await openUpstream('v2')
  await using front = await openListener((request, response) => {
    if (request.url === '/health') response.writeHead(status).end()
    else response.writeHead(307, { location: upstream.origin }).end()
  })
  proxy.use({ starting: starting(front.origin, { health: '/health' }) })
  await until('the health path is asked', () => probe()?.error === '/health answered HTTP 503')
  expect(front.seen.every(({ url }) => url === '/health')).toBe(true)
  status = 200
  await until('MCP is asked then', () => probe()?.error?.startsWith('initialize answered HTTP 307'))
})

test.each([401, 403, 500, 503])('HTTP %i says nothing of the era', async (status) => {
  await using upstream = await openListener((_, response) => void response.writeHead(status).end())
  proxy.use({ starting: starting(upstream.origin) })
  const bad = await until('a bad answer', () => probe())
  expect(bad).toMatchObject({ ok: false, good: 0, error: `server/discover answered HTTP ${status}` })
  expect(bad.era).toBeUndefined()
  expect(upstream.seen.every(({ body }) => body.includes('server/discover'))).toBe(true)
})

test.each([
  [
    'an error',
    (id: string) => JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32603, message: 'my own words' } }),
  ],
  ['no JSON', () => 'my own words'],
])('what a server says in %s is kept apart from why its answer is bad', async (_, words) => {
  await using upstream = await openListener(async (request, response) => {
    const { id } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    response.writeHead(200, { 'content-type': 'application/json' }).end(words(id))
  })
  proxy.use({ starting: starting(upstream.origin) })
  const bad = await until('a bad answer', () => probe())
  expect(bad).toMatchObject({ ok: false, said: 'my own words' })
  expect(bad.error).toMatch(/^initialize answered (HTTP 200 with error -32603|what is not JSON)$/)
})

test('one bad answer starts the count again', async () => {
  let broken = false
  await using upstream = await openListener(async (request, response) => {
    const { id, method } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    if (broken) {
      request.socket.destroy()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        result: method === 'tools/list' ? { tools: [] } : { supportedVersions: ['2026-07-28'] },
      }),
    )
  })
  proxy.use({ starting: starting(upstream.origin) })
  await until('a good answer', () => probe()?.ok)
  broken = true
  await until('a bad answer', () => probe()?.good === 0)
  broken = false
  await until('a first good answer again', () => probe()?.ok && probe()?.good === 1)
})

test('a generation that is gone from the table is asked no more', async () => {
  await using hanging = await openListener(() => undefined)
  proxy.use({ starting: starting(hanging.origin) })
  const closed = until('it is asked', () => hanging.seen.length > 0)
  await closed
  proxy.use({ starting: [] })
  expect(probe()).toBeUndefined()
  const { length } = hanging.seen
  await using upstream = await openUpstream('v2')
  proxy.use({ servers: { t: serverAt('t', upstream.origin) } })
  await until('others are asked', () => upstream.seen.length > 1)
  expect(hanging.seen.length).toBe(length)
})

test('what is known of a generation stays known when it begins to serve', async () => {
  await using upstream = await openUpstream('v2')
  proxy.use({ starting: starting(upstream.origin) })
  await until('three good answers', () => probe()?.good === 3)
  proxy.use({ servers: { s: serverAt('s', upstream.origin, { generation: 's@1' }) } })
  expect(probe()?.good).toBe(3)
})

test('what serves and has to start again is asked as often as what starts', async () => {
  await using upstream = await openUpstream('v2')
  const serving = { servers: { s: serverAt('s', 'http://127.0.0.1:1', { generation: 's@1' }) } }
  proxy.use(serving)
  await until('it does not answer', () => probe()?.ok === false)
  expect(probe()?.error).toMatch(
    /^nothing listens at http.*; a server listens at the HOST and PORT of its environment$/,
  )
  const again = { servers: { s: serverAt('s', upstream.origin, { generation: 's@1' }) } }
  proxy.use({ ...again, starting: starting(upstream.origin) })
  await until('three good answers', () => probe()?.good === 3)
})

test('what has served and starts again is asked as if it never had, and that is told', async () => {
  await using upstream = await openUpstream('v2')
  const waiting = { servers: { s: serverAt('s', undefined, { generation: 's@1' }) } }
  proxy.use({
    servers: { s: serverAt('s', upstream.origin, { generation: 's@1' }) },
    starting: starting(upstream.origin),
  })
  await until('three good answers', () => probe()?.good === 3)
  proxy.use({ ...waiting, draining: starting(upstream.origin) })
  const told = proxy.spoken()
  proxy.use({ ...waiting, starting: starting(upstream.origin) })
  expect(probe()).toBeUndefined()
  expect(proxy.gateway.probes.known('s@1')?.era).toBe('modern')
  await until('the first good answer is told', () => proxy.spoken() === told + 1)
  await until('three good answers', () => probe()?.good === 3)
  expect(proxy.spoken()).toBe(told + 2)
})
