import { readFile } from 'node:fs/promises'
import type { Browser, BrowserContext } from 'playwright-core'
import { type ChromiumProgram, launchChromium } from './chromium.ts'

const stopLimit = 2_000
const answerLimit = 5_000

/** When a browser is worn and the next page comes from a new one: after so many contexts, milliseconds, bytes. */
export interface Wear {
  readonly contexts: number
  readonly age: number
  readonly memory: number
}

export const usualWear: Wear = { contexts: 500, age: 3_600_000, memory: 900e6 }

/** One Chromium process tree. */
export interface RunningBrowser {
  readonly pid: number
  openContext(): Promise<BrowserContext>
  /**
   * What `act` gives; a browser that has not done it within so many milliseconds is killed.
   *
   * @throws Error when it was, or has ended by itself: Playwright may wait for ever for what it asked then.
   */
  within<Result>(limit: number, act: () => Promise<Result>): Promise<Result>
  /** Closes the context; a browser that cannot do that within two seconds is killed. */
  closeContext(context: BrowserContext): Promise<void>
  isWorn(wear: Wear): Promise<boolean>
  isAlive(): boolean
  /** Takes no more contexts, and ends with the last one. */
  retire(): void
  stop(): Promise<void>
}

export async function startBrowser(program: ChromiumProgram): Promise<RunningBrowser> {
  const browser = await launchChromium(program)
  const { pids, pid } = await introduce(browser, program)
  const within = limitWaits(browser, () => kill(pid))
  const started = Date.now()
  let opened = 0
  let retired = false
  // What rejects while it is closed is already gone, which is all that is wanted.
  const stop = () =>
    limited(
      stopLimit,
      () => kill(pid),
      () => browser.close(),
    ).catch(() => undefined)
  const stopIfUnused = () => (retired && browser.contexts().length === 0 ? stop() : Promise.resolve())
  return {
    pid,
    isAlive: () => browser.isConnected(),
    stop,
    within,
    openContext: () => {
      opened += 1
      return browser.newContext({ offline: true, serviceWorkers: 'block', acceptDownloads: false })
    },
    closeContext: async (context) => {
      await within(stopLimit, () => context.close()).catch(() => undefined)
      await stopIfUnused()
    },
    isWorn: async (wear) =>
      opened >= wear.contexts ||
      Date.now() - started >= wear.age ||
      (await memoryOf(await within(answerLimit, pids))) >= wear.memory,
    retire: () => {
      retired = true
      void stopIfUnused()
    },
  }
}

async function introduce(browser: Browser, program: ChromiumProgram) {
  const within = limitWaits(browser, () => void browser.close().catch(() => undefined))
  return await within(answerLimit, async () => {
    const pids = await processIds(browser)
    const [pid] = await pids()
    if (pid === undefined) throw new Error(`${program.path} does not tell its process id`)
    return { pids, pid }
  })
}

/** The ids of the browser's processes, its main one first. */
async function processIds(browser: Browser): Promise<() => Promise<readonly number[]>> {
  const session = await browser.newBrowserCDPSession()
  return async () => {
    const { processInfo } = await session.send('SystemInfo.getProcessInfo')
    const main = processInfo.filter((process) => process.type === 'browser')
    const others = processInfo.filter((process) => process.type !== 'browser')
    return [...main, ...others].map((process) => process.id)
  }
}

/** Bytes that these processes alone hold; 0 where the system does not tell (it has no /proc). */
async function memoryOf(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '')))
  return sizes.reduce((sum, statm) => {
    const [, resident = 0, shared = 0] = statm.split(' ').map(Number)
    return sum + (resident - shared) * 4096
  }, 0)
}

function limitWaits(browser: Browser, end: () => void): RunningBrowser['within'] {
  const gone = new AbortController()
  browser.once('disconnected', () => gone.abort(new Error('Chromium has ended')))
  return (limit, act) => limited(limit, end, act, gone.signal)
}

/** What `act` gives, unless so many milliseconds have passed, which is its `end`, or `gone` is aborted. */
async function limited<Result>(limit: number, end: () => void, act: () => Promise<Result>, gone?: AbortSignal) {
  gone?.throwIfAborted()
  const cut = Promise.withResolvers<never>()
  const ended = () => cut.reject(gone?.reason)
  const late = () => {
    end()
    cut.reject(new Error(`Chromium did not answer within ${limit / 1000} s and was killed`))
  }
  const timer = setTimeout(late, limit)
  gone?.addEventListener('abort', ended, { once: true })
  try {
    return await Promise.race([cut.promise, act()])
  } finally {
    clearTimeout(timer)
    gone?.removeEventListener('abort', ended)
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
