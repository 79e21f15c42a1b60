import { readFileSync } from 'node:fs'
import type { BrowserContext, Page } from 'playwright-core'
import type { RunningBrowser } from './browser.ts'

const origin = 'https://render.invalid'

/**
 * Nothing but the stage's own files, no eval, no frame, no popup. `sandbox` also takes the page's origin away, and with
 * it storage.
 */
const policy = `default-src 'none'; script-src ${origin}; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; sandbox allow-scripts`

export interface StageFile {
  readonly type: string
  readonly body: string | Buffer
}

/** What a stage is made of, by path; `/` is its page. */
export type StageFiles = ReadonlyMap<string, StageFile>

/** A script of a stage, from its file's URL. */
export function readScript(url: string): StageFile {
  return { type: 'text/javascript', body: readFileSync(new URL(url)) }
}

/** A page on an origin that does not exist, for one use. `gone` is aborted when its renderer or browser ends. */
export interface Stage {
  readonly page: Page
  readonly gone: AbortSignal
  close(): Promise<void>
}

/**
 * Opens a page and loads its files, for which it has `limit` ms; nothing else can be loaded, from anywhere. A browser that
 * does not even say that it was too slow is killed.
 */
export async function openStage(browser: RunningBrowser, files: StageFiles, limit: number): Promise<Stage> {
  return await browser.within(2 * limit, () => open(browser, files, limit))
}

async function open(browser: RunningBrowser, files: StageFiles, limit: number): Promise<Stage> {
  const context = await browser.openContext()
  try {
    context.setDefaultTimeout(limit)
    await serveFiles(context, files)
    const page = await context.newPage()
    const gone = new AbortController()
    page.on('crash', () => gone.abort())
    page.on('close', () => gone.abort())
    await page.goto(`${origin}/`)
    return { page, gone: gone.signal, close: () => browser.closeContext(context) }
  } catch (error) {
    await browser.closeContext(context)
    throw error
  }
}

async function serveFiles(context: BrowserContext, files: StageFiles): Promise<void> {
  await context.route('**/*', async (route) => {
    const url = new URL(route.request().url())
    const file = url.origin === origin ? files.get(url.pathname) : undefined
    if (file === undefined) return await route.abort()
    const headers = {
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    }
    await route.fulfill({ contentType: file.type, body: file.body, headers })
  })
}
