import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asRoutine, withBreaker } from '../../proxy/breaker.ts'
import { Refusal } from '../../proxy/refusal.ts'
import type { Target } from '../../proxy/table.ts'
import { type Sending, UpstreamFailed } from '../../proxy/transfer.ts'
import type { Upstreams } from '../../proxy/upstream.ts'
import { aboutEcho, openListener, openPlain, openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { until } from '../support/until.ts'

const target: Target = {
  server: 's',
  generation: 's@1',
  role: 'serving',
  asked: 'seldom',
  origin: 'http://127.0.0.1:1',
  path: '/mcp',
  health: undefined,
  timeout: 1_000,
  credential: undefined,
}
const failure = (code: string) => Object.assign(new Error(code), { code })
type Way = 'refuses' | 'breaks off' | 'answers' | 'says 401' | 'hangs' | 'is replaced'

/** An upstream that the test moves, on a clock that it sets, and what becomes of requests to it. */
function openBench() {
  let way: Way = 'refuses'
  let now = 1_000
  let tries = 0
  const receiver = { write: () => true, drained: () => undefined, end: () => undefined }
  const send: Upstreams['send'] = async ({ target, signal }, receive) => {
    tries++
    if (way === 'hangs')
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    if (way === 'is replaced') throw new UpstreamFailed(target, false, new Error('it no longer serves'))
    if (way === 'refuses') throw new UpstreamFailed(target, false, failure('ECONNREFUSED'))
    if (way === 'breaks off') throw new UpstreamFailed(target, true, failure('ECONNRESET'))
    receive({
      status: way === 'answers' ? 200 : 401,
      type: 'application/json',
      header: () => undefined,
      leave: () => undefined,
    })
  }
  const guarded = withBreaker({ send }, () => now)
  const ask = (more: Partial<Sending> = {}, upstreams = guarded) => {
    const sending = { target, method: 'POST', headers: {}, signal: AbortSignal.timeout(60_000), ...more } as const
    return upstreams
      .send(sending, () => receiver)
      .then(
        () => 'answered',
        (error: unknown) => {
          if (error instanceof Refusal) return error.refusal
          if (error instanceof UpstreamFailed) return error.sent ? 'failed' : 'not sent'
          return 'ended'
        },
      )
  }
  return {
    ask,
    /** Asks for nobody. */
    look: () => ask({}, asRoutine(guarded)),
    tries: () => tries,
    is: (next: Way) => {
      way = next
    },
    after: (ms: number) => {
      now += ms
    },
    fail: async (times: number) => {
      for (let i = 0; i < times; i++) await ask()
    },
    /** Fails for so long that it is let alone. */
    down: async () => {
      for (let i = 0; i < 5; i++) {
        await ask()
        if (i < 4) now += 1_000
      }
    },
  }
}

describe('an upstream that fails', () => {
  test('for longer than calls wait for it is let alone, and others are not', async () => {
    const bench = openBench()
    await bench.fail(5)
    bench.after(3_999)
    expect(await bench.ask()).toBe('not sent')
    bench.after(1)
    expect(await bench.ask()).toBe('not sent')
    expect(await bench.ask()).toBe('resting')
    expect(await bench.ask({ target: { ...target, generation: 's@2' } })).toBe('not sent')
    expect(await bench.ask({ target: { ...target, origin: 'http://127.0.0.1:2' } })).toBe('not sent')
    expect(bench.tries()).toBe(9)
  })

  test('now and then is not', async () => {
    const bench = openBench()
    for (let i = 0; i < 6; i++) {
      bench.is('breaks off')
      await bench.fail(4)
      bench.after(60_000)
      bench.is('answers')
      expect(await bench.ask()).toBe('answered')
    }
  })

  test('because it is replaced is not, and every request is sent again', async () => {
    const bench = openBench()
    bench.is('is replaced')
    for (let i = 0; i < 100; i++) expect(await bench.ask()).toBe('not sent')
  })

  test('while it starts is not', async () => {
    const bench = openBench()
    const starting = { target: { ...target, asked: 'often' } } as const
    for (let i = 0; i < 20; i++) expect(await bench.ask(starting)).toBe('not sent')
  })

  test('and then answers while it is started again is asked by all at once', async () => {
    const bench = openBench()
    await bench.down()
    expect(await bench.ask()).toBe('resting')
    bench.is('answers')
    await bench.ask({ target: { ...target, asked: 'often' } })
    expect(await bench.ask()).toBe('answered')
  })

  test('is tried by one request at a time, and asked by all as soon as it answers', async () => {
    const bench = openBench()
    await bench.down()
    bench.after(1_500)
    bench.is('hangs')
    const ending = new AbortController()
    const first = bench.ask({ signal: ending.signal })
    expect(await bench.ask()).toBe('resting')
    ending.abort()
    expect(await first).toBe('ended')
    bench.is('answers')
    expect([await bench.ask(), await bench.ask()]).toEqual(['answered', 'answered'])
  })

  test('is tried ever more seldom, and at least every 40 s', async () => {
    const bench = openBench()
    await bench.down()
    for (const [early, late] of [
      [799, 202],
      [1_599, 402],
      [3_199, 802],
      [6_399, 1_602],
      [12_799, 3_202],
      [25_599, 6_402],
      [31_999, 8_002],
      [31_999, 8_002],
    ] as const) {
      bench.after(early)
      expect(await bench.ask()).toBe('resting')
      bench.after(late)
      expect(await bench.ask()).toBe('not sent')
    }
    bench.is('answers')
    bench.after(40_001)
    expect([await bench.ask(), await bench.ask()]).toEqual(['answered', 'answered'])
  })

  test('is tried at once by the first that asks after a while, and soon again by the next, though it was looked at', async () => {
    const bench = openBench()
    await bench.down()
    for (let i = 0; i < 400; i++) {
      bench.after(10_000)
      await bench.look()
    }
    expect(await bench.ask()).toBe('not sent')
    bench.after(799)
    expect(await bench.ask()).toBe('resting')
    bench.is('answers')
    bench.after(1_202)
    expect(await bench.ask()).toBe('answered')
  })

  test('is looked at every 40 s at most, and not while a request tries', async () => {
    const bench = openBench()
    await bench.down()
    const before = bench.tries()
    for (let i = 0; i < 3_600; i++) {
      bench.after(1_000)
      await bench.look()
    }
    expect(bench.tries() - before).toBe(90)
    bench.is('hangs')
    const ending = new AbortController()
    const trying = bench.ask({ signal: ending.signal })
    bench.after(9_999)
    expect(await bench.look()).toBe('resting')
    ending.abort()
    expect(await trying).toBe('ended')
  })

  test('(F22) for an hour under load sees no more than 150 requests', async () => {
    const bench = openBench()
    for (let i = 0; i < 36_000; i++) {
      await bench.ask()
      if (i % 100 === 0) await bench.look()
      bench.after(100)
    }
    expect(bench.tries()).toBeLessThanOrEqual(150)
  })

  test('often between its answers has few requests sent again', async () => {
    const bench = openBench()
    let again = 0
    for (let i = 0; i < 3_000; i++) {
      bench.is('refuses')
      if ((await bench.ask()) === 'not sent') again++
      bench.is('answers')
      await bench.ask()
    }
    expect(again).toBeGreaterThanOrEqual(1_000)
    expect(again).toBeLessThanOrEqual(1_400)
    for (let i = 0; i < 100; i++) await bench.ask()
    bench.is('refuses')
    expect(await bench.ask()).toBe('not sent')
  })

  test('to let the gateway in was reached: nothing is tried or sent again', async () => {
    const bench = openBench()
    bench.is('says 401')
    for (let i = 0; i < 20; i++) expect(await bench.ask()).toBe('answered')
    expect(bench.tries()).toBe(20)
  })
})

describe('a proxy', () => {
  let proxy: OpenProxy
  let good: Upstream
  beforeEach(async () => {
    proxy = await openProxy()
    good = await openUpstream('v2')
  })
  afterEach(async () => {
    await proxy[Symbol.asyncDispose]()
    await good[Symbol.asyncDispose]()
  })
  const agents = { a: agentWith('a', { s: wholeGrant, other: wholeGrant }) }

  test.each(['/mcp', '/mcp/s'])(
    'refuses calls at %s at once while a server is gone, and goes on when it is back',
    async (path) => {
      const server = serverAt('s', good.origin)
      const name = path === '/mcp' ? 's__echo' : 'echo'
      const call = () => proxy.post(path, rpc('tools/call', { name, arguments: { text: 'hi' } }), as('a'))
      proxy.use({ agents, servers: { s: server } })
      await until('it is known', () => proxy.gateway.probes.known(server.generation))
      proxy.use({ agents, servers: { s: { ...server, upstream: 'http://127.0.0.1:1' } } })
      const words = await until('it is let alone', async () => {
        const { status, json } = await call()
        expect([status, json.error.code]).toEqual([200, -32603])
        return json.error.message.includes('is not asked now') ? json.error.message : undefined
      })
      expect(words).toMatch(/^s did not answer several times and is not asked now; try again in \d+ s$/)
      proxy.use({ agents, servers: { s: server } })
      expect((await call()).json.result.content[0].text).toBe('hi')
    },
  )

  test('comes back to the same address within seconds, and runs no call twice', async () => {
    let calls = 0
    let up = false
    await using flaky = await openPlain((method) => {
      if (method === 'tools/call') calls++
      return up || method !== 'tools/call' ? aboutEcho : undefined
    })
    proxy.use({ agents, servers: { s: serverAt('s', flaky.origin) } })
    await until('it is known', () => proxy.gateway.probes.known(serverAt('s', flaky.origin).generation))
    const call = () => proxy.post('/mcp/s', rpc('tools/call', { name: 'echo', arguments: {} }), as('a'))
    let asked = 0
    const isAlone = async () => {
      const alone = (await call()).json.error.message.includes('is not asked now')
      if (!alone) asked++
      return alone
    }
    await until('it is let alone', isAlone)
    expect(calls).toBe(asked)
    up = true
    await until('it is asked again', async () => (await call()).json.result !== undefined, 5_000)
    expect(calls).toBe(asked + 1)
  })

  test('lists what others have at once when one is known to hang', async () => {
    await using hanging = await openListener(() => undefined)
    const servers = { s: serverAt('s', hanging.origin), other: serverAt('other', good.origin) }
    proxy.use({ agents, servers })
    await until('it is known to hang', () => proxy.gateway.probes.probe(servers.s.generation)?.ok === false)
    const began = performance.now()
    const { json } = await proxy.post('/mcp', rpc('tools/list'), as('a'))
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(json.result.tools.map(({ name }: { name: string }) => name)).toContain('other__echo')
  })
})
