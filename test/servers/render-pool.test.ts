import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium, type Page } from 'playwright-core'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { startBrowser } from '../../servers/kit/browser.ts'
import { findChromium } from '../../servers/kit/chromium.ts'
import { openRenderPool, type RenderPool, type RenderPoolSettings } from '../../servers/kit/render-pool.ts'
import { createRenderQueue } from '../../servers/kit/render-queue.ts'
import { openStage } from '../../servers/kit/stage.ts'
import { openLoopback } from '../support/loopback.ts'
import { suite } from '../support/machine.ts'
import { isRunning } from '../support/process-tree.ts'
import { fetchVectors, tryAll } from './fetch-vectors.ts'

const files = new Map([
  ['/', { type: 'text/html', body: '<!doctype html><body><script src="/double.js"></script>' }],
  ['/double.js', { type: 'text/javascript', body: 'globalThis.double = (n) => n * 2' }],
])

const double = (n: number) => (page: Page) => page.evaluate((given) => Reflect.get(globalThis, 'double')(given), n)
const never = (page: Page) => page.evaluate(() => new Promise(() => {}))
const outcome = (promise: Promise<unknown>) => promise.then(String, (error: Error) => error.message)

const pools = new Set<RenderPool>()
afterEach(async () => {
  await Promise.all([...pools].map((pool) => pool.close()))
  pools.clear()
})

function open(settings: Partial<RenderPoolSettings> = {}): RenderPool {
  const program = settings.program ?? findChromium(process.env)
  const pool = openRenderPool({ files, warm: double(1), slots: 2, limit: 5_000, ...settings, program })
  pools.add(pool)
  return pool
}

async function rendererPids(page: Page): Promise<readonly number[]> {
  const session = await page.context().browser()!.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id)
}

suite('a render pool', ['chromium'], () => {
  test('gives every render a page of its own', async () => {
    const pool = open({ slots: 1 })
    const mark = (page: Page) =>
      page.evaluate(() => [Reflect.get(globalThis, 'mark'), Reflect.set(globalThis, 'mark', 1)])
    expect([await pool.render(mark), await pool.render(mark)]).toEqual([
      [undefined, true],
      [undefined, true],
    ])
  })

  test('passes on what a render returns and what it throws', async () => {
    const pool = open()
    expect(await pool.render(double(21))).toBe(42)
    await expect(pool.render(async () => Promise.reject(new Error('no such shape')))).rejects.toThrow('no such shape')
    expect(await pool.ready()).toBeUndefined()
  })

  test('ends a render that never ends, and goes on', async () => {
    const pool = open({ slots: 1, limit: 1_000 })
    const loop = (page: Page) =>
      page.evaluate(() => {
        for (;;);
      })
    await expect(pool.render(loop)).rejects.toMatchObject({ reason: 'timeout', message: /longer than 1 s/ })
    expect(await pool.render(double(4))).toBe(8)
  })

  test('takes as many as its slots and its queue hold, and says busy to the next', async () => {
    const pool = open()
    const held = Promise.withResolvers<void>()
    let begun = 0
    const holding = Array.from({ length: 2 }, () =>
      pool.render(async (page) => {
        begun += 1
        await held.promise
        return double(1)(page)
      }),
    )
    await vi.waitFor(() => expect(begun).toBe(2), { timeout: 10_000 })
    const waiting = Array.from({ length: 16 }, (_, i) => pool.render(double(i)))
    await expect(pool.render(double(99))).rejects.toMatchObject({ reason: 'busy', message: /Try again/ })
    expect(await pool.ready()).toBeUndefined()
    held.resolve()
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 16 }, (_, i) => i * 2))
    expect(await Promise.all(holding)).toEqual([2, 2])
  })

  test('answers every call when its browser is killed', async () => {
    const pool = open()
    expect(await pool.ready()).toBeUndefined()
    const [victim] = pool.pids()
    const calls = Array.from({ length: 10 }, (_, i) => pool.render(double(i)))
    process.kill(victim!, 'SIGKILL')
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 10 }, (_, i) => i * 2))
    expect(pool.pids()).not.toContain(victim)
  })

  test('repeats a render whose renderer crashed once, and gives up when it crashes again', async () => {
    const pool = open({ slots: 1 })
    let tries = 0
    const crash = (times: number) => async (page: Page) => {
      tries += 1
      if (tries <= times) for (const pid of await rendererPids(page)) process.kill(pid, 'SIGKILL')
      return await page.evaluate(() => new Promise((end) => setTimeout(() => end('drawn'), 300)))
    }
    expect(await pool.render(crash(1))).toBe('drawn')
    tries = 0
    await expect(pool.render(crash(9))).rejects.toMatchObject({ reason: 'crashed' })
    expect([tries, await pool.render(double(3))]).toEqual([2, 6])
  })

  test('survives a page that eats memory', async () => {
    const pool = open({ slots: 1, limit: 15_000 })
    const greedy = (page: Page) =>
      page.evaluate(() => {
        const hoard: unknown[] = []
        for (;;) hoard.push(new Array(1e6).fill(0.5))
      })
    await expect(pool.render(greedy)).rejects.toMatchObject({ reason: 'crashed' })
    expect(await pool.render(double(3))).toBe(6)
  }, 60_000)

  test('forgets a call whose caller has gone', async () => {
    const pool = open({ slots: 1 })
    const gone = new AbortController()
    const calls = [never, double(1)].map((draw) => outcome(pool.render(draw, gone.signal)))
    gone.abort(new Error('the caller has gone'))
    expect(await Promise.all(calls)).toEqual(['the caller has gone', 'the caller has gone'])
    expect(await pool.render(double(5))).toBe(10)
  })

  test('kills a browser that does not answer when a page is to be opened', async () => {
    const browser = await startBrowser(findChromium(process.env))
    process.kill(browser.pid, 'SIGSTOP')
    await expect(openStage(browser, files, 500)).rejects.toThrow()
    await vi.waitFor(() => expect([browser.isAlive(), isRunning(browser.pid)]).toEqual([false, false]))
  })

  test('ends what it asked of a browser that was killed meanwhile', async () => {
    for (const wait of [0, 20, 60, 120]) {
      const browser = await startBrowser(findChromium(process.env))
      const opening = Array.from({ length: 4 }, () => outcome(openStage(browser, files, 20_000)))
      await sleep(wait)
      process.kill(browser.pid, 'SIGKILL')
      await expect.poll(() => browser.isAlive()).toBe(false)
      await Promise.all(opening)
      await expect(openStage(browser, files, 20_000)).rejects.toThrow()
    }
  }, 15_000)

  test('takes a new browser when the old one is worn, and ends the old one', async () => {
    const pool = open({ slots: 1, wear: { contexts: 3, age: 1e9, memory: 1e12 } })
    expect(await pool.ready()).toBeUndefined()
    const [first] = pool.pids()
    for (let n = 0; n < 4; n += 1) expect(await pool.render(double(n))).toBe(n * 2)
    await vi.waitFor(() => expect(isRunning(first!)).toBe(false), { timeout: 10_000 })
    expect(await pool.render(double(8))).toBe(16)
  })

  test.each([
    ['old', { contexts: 1e9, age: 0, memory: 1e12 }],
    ['large', { contexts: 1e9, age: 1e9, memory: 1 }],
  ])('counts a browser that is too %s as worn', async (_, wear) => {
    const pool = open({ slots: 1, wear })
    expect(await pool.ready()).toBeUndefined()
    const [first] = pool.pids()
    expect([await pool.render(double(1)), await pool.render(double(2))]).toEqual([2, 4])
    await vi.waitFor(() => expect(isRunning(first!)).toBe(false), { timeout: 10_000 })
  })

  test('leaves no process behind when it is closed, and refuses from then on', async () => {
    const pool = open()
    expect(await pool.ready()).toBeUndefined()
    const pids = pool.pids()
    const call = outcome(pool.render(never))
    await pool.close()
    const refused = [await call, await outcome(pool.render(double(1)))]
    expect(refused).toEqual(['The renderer is stopping.', 'The renderer is stopping.'])
    expect(pids.filter(isRunning)).toEqual([])
  })

  test('closes while its browser is still starting', async () => {
    const pool = open()
    await pool.close()
    await expect(pool.render(double(1))).rejects.toMatchObject({ reason: 'stopped' })
    expect(pool.pids()).toEqual([])
  })

  test('says what is wrong with a Chromium that does not start, once in its log and to each caller', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chromium-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'chromium')
    writeFileSync(path, '#!/bin/sh\nexit 3\n')
    chmodSync(path, 0o755)
    const troubles: string[] = []
    const pool = open({ program: { path, unsandboxed: 'a test' }, onTrouble: (words) => troubles.push(words) })
    await expect(pool.render(double(1))).rejects.toMatchObject({ reason: 'unavailable', message: /does not start/ })
    expect(await pool.ready()).toContain(`${path} does not start`)
    expect(new Set(troubles).size).toBe(troubles.length)
  })
})

suite('a page of the pool', ['chromium'], () => {
  const leavers = ['form', 'navigation', 'refresh', 'download']
  const stayers = Object.keys(fetchVectors).filter((name) => !leavers.includes(name))

  test('reaches nothing, by whatever way a script in it tries', async () => {
    const loopback = await openLoopback()
    onTestFinished(loopback.close)
    const pool = open({ limit: 10_000 })
    for (const names of [stayers, ...leavers.map((name) => [name])])
      await outcome(pool.render((page) => page.evaluate(tryAll(names, loopback.port))))
    expect(loopback.seen).toEqual([])
  }, 60_000)

  test('would reach it in a browser without the pool’s walls, which is how these ways are known to be ways', async () => {
    const loopback = await openLoopback()
    onTestFinished(loopback.close)
    const browser = await chromium.launch({ executablePath: findChromium(process.env).path, chromiumSandbox: false })
    onTestFinished(() => browser.close())
    for (const names of [stayers, ...leavers.map((name) => [name])]) {
      const page = await browser.newPage()
      await page.goto(loopback.url)
      await outcome(page.evaluate(tryAll(names, loopback.port)))
    }
    const reached = ['GET /fetch', 'GET /xhr', 'POST /beacon', 'upgrade /ws', 'GET /events', 'GET /image', 'GET /sheet']
    reached.push('GET /import', 'GET /background', 'GET /font', 'GET /script', 'GET /frame', 'GET /popup', 'POST /ping')
    reached.push('POST /form', 'GET /navigation', 'GET /refresh', 'udp')
    await vi.waitFor(() => expect(loopback.seen).toEqual(expect.arrayContaining(reached)), { timeout: 10_000 })
  }, 60_000)

  test('has no origin, no storage and no eval, and reads no file', async () => {
    const pool = open()
    const tell = (page: Page) =>
      page.evaluate(async () => {
        const attempt = async (act: () => unknown) => {
          try {
            return String(await act())
          } catch (error) {
            return error instanceof Error ? error.name : 'refused'
          }
        }
        return [
          await attempt(() => Reflect.get(globalThis, 'origin')),
          await attempt(() => Reflect.get(globalThis, 'localStorage')),
          await attempt(() => fetch('file:///etc/passwd')),
        ]
      })
    expect(await pool.render(tell)).toEqual(['null', 'SecurityError', 'TypeError'])
    const inlined = (page: Page) =>
      page.evaluate(`(() => {
        const script = document.createElement('script')
        script.textContent = 'globalThis.ran = eval("1")'
        document.body.append(script)
        return typeof globalThis.ran
      })()`)
    expect(await pool.render(inlined)).toBe('undefined')
  })
})

describe('the search for Chromium', () => {
  function folderWith(...programs: readonly string[]): string {
    const folder = mkdtempSync(join(tmpdir(), 'path-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    for (const program of programs) writeFileSync(join(folder, program), '#!/bin/sh\n', { mode: 0o755 })
    return folder
  }

  test('prefers CHROMIUM_PATH, then the headless shell', () => {
    const folder = folderWith('chromium', 'chromium-headless-shell', 'mine')
    const mine = join(folder, 'mine')
    expect(findChromium({ PATH: folder }, 1000)).toEqual({ path: join(folder, 'chromium-headless-shell') })
    expect(findChromium({ PATH: folder, CHROMIUM_PATH: mine }, 1000)).toEqual({ path: mine })
    expect(findChromium({ PATH: folderWith('chromium') }, 1000).path).toMatch(/\/chromium$/)
  })

  test('names what to install, or what is wrong with CHROMIUM_PATH', () => {
    expect(() => findChromium({ PATH: folderWith() }, 1000)).toThrow(
      /install Debian's chromium-headless-shell, or set CHROMIUM_PATH/,
    )
    expect(() => findChromium({ CHROMIUM_PATH: 'chromium' }, 1000)).toThrow('CHROMIUM_PATH=chromium: not a program')
    expect(() => findChromium({ CHROMIUM_PATH: folderWith() }, 1000)).toThrow('not a program')
  })

  test('leaves the sandbox on, but for root and where it is told', () => {
    const PATH = folderWith('chromium')
    expect(findChromium({ PATH }, 10_001).unsandboxed).toBeUndefined()
    expect(findChromium({ PATH, RENDER_NO_SANDBOX: '0' }, 10_001).unsandboxed).toBeUndefined()
    expect(findChromium({ PATH, RENDER_NO_SANDBOX: '1' }, 10_001).unsandboxed).toBe('RENDER_NO_SANDBOX=1')
    expect(findChromium({ PATH }, 0).unsandboxed).toMatch(/root/)
  })
})

describe('a render queue', () => {
  test('says busy to a job that waited too long', async () => {
    const queue = createRenderQueue<string>(2, 20)
    await expect(queue.offer('job')).rejects.toMatchObject({ reason: 'busy', message: /no turn came within 0.02 s/ })
    expect(queue.waiting()).toBe(0)
  })

  test('hands jobs out in the order they came, to the taker that came last', async () => {
    const queue = createRenderQueue<string>(2, 1_000)
    const takers = [queue.take(), queue.take()]
    await queue.offer('a')
    await queue.offer('b')
    const offers = [queue.offer('c'), queue.offer('d')]
    expect([await Promise.all(takers), await queue.take(), await queue.take()]).toEqual([['b', 'a'], 'c', 'd'])
    await Promise.all(offers)
  })

  test('ends its takers and its jobs when it is closed', async () => {
    const idle = createRenderQueue<string>(2, 1_000)
    const taker = idle.take()
    idle.close()
    const full = createRenderQueue<string>(2, 1_000)
    const job = outcome(full.offer('a'))
    full.close()
    expect([await taker, await full.take(), await job]).toEqual([undefined, undefined, 'The renderer is stopping.'])
  })
})
