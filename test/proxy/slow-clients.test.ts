import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createApp } from '../../proxy/app.ts'
import type { Limits } from '../../proxy/limits.ts'
import { listen } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { enter, messagesOf } from '../support/wire.ts'

const megabyte = 'x'.repeat(1024 * 1024)
const count = 60

let proxy: OpenProxy
let server: RawServer
let flooded = 0
const opened: AsyncDisposable[] = []
beforeEach(async () => {
  flooded = 0
  server = await openRawServer({
    era: 'legacy',
    tools: {
      large: () => textResult(megabyte.repeat(count)),
      flood: (call) => {
        for (; flooded < count; flooded++) call.note('notifications/message', { level: 'info', data: megabyte })
        return textResult('flooded')
      },
      drip: async ({ response }) => {
        const event = `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { data: megabyte } })}\n\n`
        const gone = once(response, 'close')
        for (; flooded < 10 * count && !response.closed; flooded++)
          if (!response.write(event)) await Promise.race([once(response, 'drain'), gone])
      },
    },
  })
})
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function begin(limits: Partial<Limits>) {
  proxy = await openProxy({ limits })
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s: serverAt('s', server.origin) } })
  await until('the server is known', () => proxy.gateway.probes.known(serverAt('s', server.origin).generation))
}

const json = { 'content-type': 'application/json' }
const session = async (path: string) => (await enter(proxy, { path, era: 'legacy', agent: 'a' })).headers
const call = (name: string) => JSON.stringify(rpc('tools/call', { name }, 'c'))

function requestOf(method: 'GET' | 'POST', path: string, headers: Readonly<Record<string, string>>, body = ''): string {
  const all = { host: 'localhost', 'content-length': String(body.length), ...headers }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `${method} ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${body}`
}

/** What a client does again and again, beside not reading. */
type Ways = (socket: Socket) => unknown
const nothing = () => undefined
const reads = (socket: Socket) => socket.read()
const sends = (socket: Socket) => socket.write(requestOf('POST', '/mcp', { ...as('a'), ...json }, call('none')))

/** A client of a server where nobody else connects. */
async function openClient(text: string, again: Ways, timeouts: object = {}) {
  const app = createApp(proxy.gateway)
  Object.assign(app, timeouts)
  const socket = connect(await listen(app), '127.0.0.1')
  await once(socket, 'connect')
  const clock = setInterval(() => again(socket), 20)
  opened.push({
    [Symbol.asyncDispose]: async () => {
      clearInterval(clock)
      socket.destroy()
      await app[Symbol.asyncDispose]()
    },
  })
  socket.pause()
  socket.on('error', () => undefined)
  socket.write(text)
  const connections = () => new Promise<number>((done) => app.getConnections((_, open = 0) => done(open)))
  await until('it is connected', async () => (await connections()) === 1)
  return {
    socket,
    /** Who does not read does not hear that it is cut off. */
    isCut: () => until('it is cut off', async () => (await connections()) === 0),
  }
}

describe.each<[string, Ways]>([
  ['reads nothing', nothing],
  ['reads a little now and then', reads],
  ['reads nothing and sends one request after the other', sends],
])('(F35) a client that %s', (_, again) => {
  beforeEach(() => begin({ stalled: 300, slowest: 256 * 1024 * 1024 }))

  test('is cut off from its answer', async () => {
    const client = await openClient(requestOf('POST', '/mcp', { ...as('a'), ...json }, call('s__large')), again)
    await client.isCut()
    expect((await proxy.post('/mcp', rpc('ping'), as('a'))).status).toBe(200)
  })

  test('is cut off from the stream of its call, and gets the last of it when it comes back', async () => {
    const headers = await session('/mcp')
    const client = await openClient(requestOf('POST', '/mcp', headers, call('s__flood')), again)
    await client.isCut()
    const id = String(headers['mcp-session-id'])
    const hosted = proxy.gateway.hosting.find(id, 'a') ?? expect.fail('no session')
    await until('the call is over', () => hosted.inFlight.size === 0 && flooded === count)
    const back = await fetch(`${proxy.url}/mcp`, { headers: { ...headers, 'last-event-id': '1_0' } })
    const messages = messagesOf((await back.text()).replaceAll(/^(id|event|retry): .*\n/gm, ''))
    expect(messages.at(-1)).toMatchObject({ id: 'c', result: textResult('flooded') })
    expect(messages.length).toBeLessThan(12)
  })

  test('is cut off from the stream that belongs to no request', async () => {
    const headers = await session('/mcp')
    const client = await openClient(requestOf('GET', '/mcp', headers), again)
    const hosted = proxy.gateway.hosting.find(String(headers['mcp-session-id']), 'a') ?? expect.fail('no session')
    await until('it listens', () => hosted.standing.isOpen)
    hosted.standing.send(megabyte.repeat(20))
    await client.isCut()
    await until('its stream is free', () => !hosted.standing.isOpen)
  })
})

test.each(['drip', 'large'])(
  '(F35) a client that reads nothing holds its server up at the address of that, and is cut off (%s)',
  async (name) => {
    await begin({ stalled: 300 })
    const client = await openClient(requestOf('POST', '/mcp/s', await session('/mcp/s'), call(name)), sends)
    await client.isCut()
    await until('nothing waits for it', () => proxy.gateway.exchanges.size === 0)
    expect(flooded).toBeLessThan(count)
  },
)

test('(F35) a client that reads slowly gets all of its answer', async () => {
  await begin({ stalled: 100, slowest: 2 * 1024 * 1024 })
  const headers = { ...as('a'), ...json, connection: 'close' }
  const { socket } = await openClient(requestOf('POST', '/mcp', headers, call('s__large')), nothing)
  socket.on('data', () => {
    socket.pause()
    setTimeout(() => socket.resume(), 1)
  })
  socket.resume()
  await once(socket, 'end')
  expect(socket.bytesRead).toBeGreaterThan(count * megabyte.length)
})

describe('(F35) a client that sends a little now and then', () => {
  const timeouts = { requestTimeout: 300, headersTimeout: 300, connectionsCheckingInterval: 50 }
  beforeEach(() => begin({}))

  test.each([
    ['of its head', 'POST /mcp HTTP/1.1\r\nhost: localhost\r\nx-long: '],
    ['of its body', requestOf('POST', '/mcp', { ...as('a'), ...json, 'content-length': '9000' })],
    ['of the body of a request that was refused', requestOf('POST', '/mcp', { 'content-length': '9000' })],
  ])('%s is cut off', async (_, text) => {
    const client = await openClient(text, (socket) => socket.write('{'), timeouts)
    client.socket.resume()
    await client.isCut()
  })

  test('may take a minute for a request', async () => {
    const app = createApp(proxy.gateway)
    expect([app.requestTimeout, app.headersTimeout]).toEqual([60_000, 60_000])
  })
})
