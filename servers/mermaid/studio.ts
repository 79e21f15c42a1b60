import type { Page } from 'playwright-core'
import { chooseChromium } from '../kit/chromium.ts'
import { photograph } from '../kit/drawing.ts'
import { type Environment, readEnvironment } from '../kit/environment.ts'
import { log } from '../kit/log.ts'
import { openRenderPool } from '../kit/render-pool.ts'
import { readDiagramKinds } from './diagram-kinds.ts'
import { readDiagramPage } from './diagram-page.ts'
import { draw } from './drawing.ts'
import { mermaidSettings } from './settings.ts'
import type { Studio } from './tools.ts'

/**
 * Starts the browser that draws; `pool.close()` ends it.
 *
 * @throws Error with one line when the environment is wrong or there is no Chromium.
 */
export function openStudio(environment: Environment): Studio {
  const settings = readEnvironment(mermaidSettings, environment)
  const pool = openRenderPool({
    program: chooseChromium(environment),
    files: readDiagramPage(),
    warm: drawOnce,
    slots: settings.RENDER_CONCURRENCY,
    limit: settings.RENDER_TIMEOUT_MS,
    onTrouble: (reason) => log.error({ reason }, 'a page for drawing could not be made ready'),
  })
  return { pool, kinds: readDiagramKinds(), maxText: settings.MERMAID_MAX_TEXT }
}

/** A small flowchart: mermaid compiles its drawing code when it is first used. */
async function drawOnce(page: Page): Promise<void> {
  const look = { theme: 'default', background: 'white', scale: 1 }
  const drawing = await draw(page, { ...look, code: 'flowchart LR\n  a --> b', maxText: 100 })
  await photograph(page, drawing, look)
}
