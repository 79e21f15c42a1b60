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
  /** What `act` gives; a browser that has not done it within so many milliseconds is killed, which ends the wait. */
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
  const pids = await processIds(browser)
  const [pid] = await pids()
  if (pid === undefined) throw new Error(`${program.path} does not tell its process id`)
  const within = killAfter(pid)
  const started = Date.now()
  let opened = 0
  let retired = false
  // What rejects while it is closed is already gone, which is all that is wanted.
  const close = (what: Browser | BrowserContext) => within(stopLimit, () => what.close()).catch(() => undefined)
  const stop = () => close(browser)
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
      await close(context)
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

/** Playwright itself waits for ever for much of what it asks a browser. */
function killAfter(pid: number): RunningBrowser['within'] {
  return async (limit, act) => {
    const timer = setTimeout(() => kill(pid), limit)
    return await act().finally(() => clearTimeout(timer))
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself meanwhile.
  }
}
