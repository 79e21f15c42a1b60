import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createApp } from '../../proxy/app.ts'
import { listen } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, tokenOf, wholeGrant } from '../support/proxy.ts'
import { openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { answerTo, enter, messagesOf } from '../support/wire.ts'

const megabyte = 'x'.repeat(1024 * 1024)
const count = 60

let proxy: OpenProxy
let server: RawServer
let flooded = 0
beforeEach(async () => {
  flooded = 0
  server = await openRawServer({
    era: 'legacy',
    tools: {
      echo: ({ params }) => textResult(JSON.stringify(params.arguments ?? null)),
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
  proxy = await openProxy({ limits: { stalled: 300 } })
  use()
  await until('the server is known', () => proxy.gateway.probes.known(serverAt('s', server.origin).generation))
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})
const use = (more = {}) => {
  const servers = { s: serverAt('s', server.origin), ...more }
  const grants = Object.fromEntries(Object.keys(servers).map((name) => [name, wholeGrant]))
  proxy.use({ agents: { a: agentWith('a', grants) }, servers })
}

/** A client that sends a request and reads nothing of the answer, on a server where nobody else connects. */
async function openDeaf(path: string, body: object, headers: Readonly<Record<string, string>>) {
  const app = createApp(proxy.gateway)
  const socket = connect(await listen(app), '127.0.0.1')
  await once(socket, 'connect')
  socket.pause()
  socket.on('error', () => undefined)
  const text = JSON.stringify(body)
  const all = { host: 'localhost', ...headers, 'content-length': String(Buffer.byteLength(text)) }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  socket.write(`POST ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${text}`)
  const connections = () => new Promise<number>((done) => app.getConnections((_, count = 0) => done(count)))
  await until('it is connected', async () => (await connections()) === 1)
  return {
    /** Who does not read does not hear that it is cut off. */
    isCut: () => until('it is cut off', async () => (await connections()) === 0),
    leave: async () => {
      socket.destroy()
      await app[Symbol.asyncDispose]()
    },
  }
}

describe('(F35) a client that does not read', () => {
  test('its answer is cut off', async () => {
    const headers = { ...as('a'), 'content-type': 'application/json' }
    const deaf = await openDeaf('/mcp', rpc('tools/call', { name: 's__large' }), headers)
    await deaf.isCut()
    await deaf.leave()
    expect((await proxy.post('/mcp', rpc('ping'), as('a'))).status).toBe(200)
  })

  test('a stream is cut off, and gets the last of it when it comes back', async () => {
    const way = await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'a' })
    const deaf = await openDeaf('/mcp', rpc('tools/call', { name: 's__flood' }, 'f'), way.headers)
    await deaf.isCut()
    await deaf.leave()
    const session = proxy.gateway.hosting.find(String(way.headers['mcp-session-id']), 'a') ?? expect.fail('no session')
    await until('the call is over', () => session.inFlight.size === 0 && flooded === count)
    const back = await fetch(way.url, { headers: { ...way.headers, 'last-event-id': '1_0' } })
    const messages = messagesOf((await back.text()).replaceAll(/^(id|event|retry): .*\n/gm, ''))
    expect(messages.at(-1)).toMatchObject({ id: 'f', result: textResult('flooded') })
    expect(messages.length).toBeLessThan(12)
  })

  test('does not fill the proxy at the address of one server either', async () => {
    const headers = { ...as('a'), 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const deaf = await openDeaf('/mcp/s', rpc('tools/call', { name: 'drip' }), headers)
    let [last, looks] = [0, 0]
    await until('the server is held up', () => {
      looks = last === flooded && flooded > 0 ? looks + 1 : 0
      last = flooded
      return looks > 20
    })
    expect(flooded).toBeLessThan(2 * count)
    await deaf.leave()
    await until('nothing waits for it', () => proxy.gateway.exchanges.size === 0)
  })
})

test('(F35) a client that sends its request slowly is not waited for without end', async () => {
  const app = createApp(proxy.gateway)
  expect([app.requestTimeout, app.headersTimeout]).toEqual([60_000, 60_000])
  Object.assign(app, { requestTimeout: 200, headersTimeout: 200, connectionsCheckingInterval: 50 })
  const port = await listen(app)
  for (const part of [
    'POST /mcp HTTP/1.1\r\nhost: lo',
    'POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{',
  ]) {
    const socket = connect(port, '127.0.0.1')
    socket.write(part)
    socket.resume()
    await once(socket, 'close')
  }
  await app[Symbol.asyncDispose]()
})

describe('(F35) a gateway that is its own server', () => {
  const credential = { header: 'authorization', value: `Bearer ${tokenOf('a')}` }

  test('stops after a few rounds, says so, and serves the others', async () => {
    use({ self: serverAt('self', proxy.url, { credential }) })
    const { json } = await proxy.post('/mcp', rpc('tools/list'), as('a'))
    const names = json.result.tools.map(({ name }: { name: string }) => name)
    expect(names).toContain('s__echo')
    const deepest = `${'self__'.repeat(5)}s__echo`
    const way = { ...(await enter(proxy, { path: '/mcp', era: 'modern', agent: 'a' })) }
    const { error } = await answerTo(way, 'tools/call', { name: deepest.slice(0, 48), arguments: {} })
    expect(error).toBeDefined()
    const looped = await proxy.post('/mcp', rpc('ping', {}, 'p'), { ...as('a'), 'gateway-hops': '4' })
    expect([looped.status, looped.json.error]).toMatchObject([508, { code: -32603, message: /leads back to it/ }])
    expect((await proxy.post('/mcp', rpc('ping'), { ...as('a'), 'gateway-hops': 'no number' })).status).toBe(508)
    expect((await proxy.post('/mcp/s', rpc('ping'), { ...as('a'), 'gateway-hops': '3' })).status).toBe(200)
    const sent = server.seen.map(({ headers }) => headers['gateway-hops'])
    expect(new Set(sent)).toEqual(new Set(['1', '2', '3', '4'].slice(0, new Set(sent).size)))
  })
})

describe('(F35) headers', () => {
  const own = {
    cookie: 'c=1',
    'proxy-authorization': 'Basic x',
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-authorization': 'Bearer y',
    forwarded: 'for=10.0.0.1',
    'x-real-ip': '10.0.0.1',
    origin: 'http://localhost',
    'last-event-id': '0_0',
    'x-session-id': 'chosen',
    'x-custom': 'mine',
  }

  test.each([
    ['/mcp', 'legacy'],
    ['/mcp', 'modern'],
    ['/mcp/s', 'legacy'],
    ['/mcp/s', 'modern'],
  ] as const)('of a client at %s in the %s era stay behind, and those of its server too', async (path, era) => {
    const way = await enter(proxy, { path, era, agent: 'a' })
    const name = path === '/mcp' ? 's__echo' : 'echo'
    const before = server.seen.length
    const { result } = await answerTo({ ...way, headers: { ...way.headers, ...own } }, 'tools/call', { name })
    expect(result).toMatchObject({ content: [{ type: 'text' }] })
    const sent = server.seen.slice(before)
    expect(sent.length).toBeGreaterThan(0)
    for (const { headers } of sent) {
      const said = JSON.stringify(headers)
      for (const value of [
        tokenOf('a'),
        'c=1',
        'Basic x',
        '10.0.0.1',
        'Bearer y',
        '0_0',
        'chosen',
        'mine',
        way.headers['mcp-session-id'],
      ])
        if (value !== undefined) expect(said).not.toContain(value)
      expect(headers.origin).toBeUndefined()
      expect(headers.host).toBe(new URL(server.origin).host)
    }
  })

  test.each([
    ['host', 'evil.example.com', 403],
    ['host', 'localhost.evil.example.com', 403],
    ['host', 'gateway.example', 200],
    ['host', '[::1]:3100', 200],
    ['host', '10.1.2.3', 200],
    ['origin', 'http://evil.example.com', 403],
    ['origin', 'null', 403],
    ['origin', 'http://localhost:5173', 200],
    ['origin', 'https://gateway.example', 200],
  ])('%s: %s is answered with %i', async (header, value, status) => {
    const text = JSON.stringify(rpc('ping'))
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1')
    const all = {
      host: 'localhost',
      ...as('a'),
      'content-type': 'application/json',
      connection: 'close',
      [header]: value,
    }
    const head = Object.entries({ ...all, 'content-length': text.length }).map(([name, one]) => `${name}: ${one}`)
    socket.end(`POST /mcp HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${text}`)
    const answer = Buffer.concat(await socket.toArray()).toString()
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    if (status === 403) expect(answer).toContain('"code":-32000')
  })

  test('that repeat arguments may be sent by a browser', async () => {
    const headers = {
      origin: 'http://localhost',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, mcp-param-region, x-other',
    }
    const answer = await fetch(`${proxy.url}/mcp`, { method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-headers')).toMatch(/Authorization.*, mcp-param-region$/)
  })
})
