import { type RunningBrowser, startBrowser, type Wear } from './browser.ts'
import type { ChromiumProgram } from './chromium.ts'
import { stopped } from './render-failure.ts'
import { openStage, type Stage, type StageFiles } from './stage.ts'

/** Milliseconds before a browser that did not start is tried again. */
const rest = 5_000

/** Opens stages in one browser at a time: started when first needed, replaced when it is worn or has ended. */
export interface BrowserSupply {
  /** @throws Error that says why Chromium does not start. */
  openStage(files: StageFiles, limit: number): Promise<Stage>
  /** Process ids of the browsers that run. */
  pids(): readonly number[]
  close(): Promise<void>
}

export function createBrowserSupply(program: ChromiumProgram, wear: Wear): BrowserSupply {
  const running = new Set<RunningBrowser>()
  let current: Promise<RunningBrowser> | undefined
  let failure: { readonly until: number; readonly error: unknown } | undefined
  let closed = false

  const start = async (): Promise<RunningBrowser> => {
    if (failure !== undefined && Date.now() < failure.until) throw failure.error
    const browser = await startBrowser(program).catch((error: unknown) => {
      failure = { until: Date.now() + rest, error }
      throw error
    })
    for (const other of running) if (!other.isAlive()) running.delete(other)
    running.add(browser)
    return browser
  }
  const replaceIfNeeded = async (before: Promise<RunningBrowser> | undefined): Promise<RunningBrowser> => {
    const browser = await before?.catch(() => undefined)
    if (browser === undefined || !browser.isAlive()) return await start()
    if (!(await browser.isWorn(wear).catch(() => true))) return browser
    browser.retire()
    return await start()
  }
  return {
    openStage: async (files, limit) => {
      if (closed) throw stopped()
      current = replaceIfNeeded(current)
      return await openStage(await current, files, limit)
    },
    pids: () => [...running].filter((browser) => browser.isAlive()).map((browser) => browser.pid),
    close: async () => {
      closed = true
      await current?.catch(() => undefined)
      await Promise.all([...running].map((browser) => browser.stop()))
    },
  }
}
