import type { Page } from 'playwright-core'
import { chooseChromium } from '../kit/chromium.ts'
import { photograph } from '../kit/drawing.ts'
import { type Environment, readEnvironment } from '../kit/environment.ts'
import { log } from '../kit/log.ts'
import { openRenderPool } from '../kit/render-pool.ts'
import { createCatalogue } from './catalogue.ts'
import { describeTemplates, draw } from './drawing.ts'
import { readIcons } from './icons.ts'
import { readInfographicPage } from './infographic-page.ts'
import type { Known } from './request.ts'
import { infographicSettings } from './settings.ts'
import type { Studio } from './tools.ts'

/**
 * Starts the browser that draws; `pool.close()` ends it.
 *
 * @throws Error with one line when the environment is wrong or there is no Chromium.
 */
export function openStudio(environment: Environment): Studio {
  const settings = readEnvironment(infographicSettings, environment)
  const font = settings.INFOGRAPHIC_FONT
  const icons = readIcons()
  const pool = openRenderPool({
    program: chooseChromium(environment),
    files: readInfographicPage(),
    warm: (page) => drawOnce(page, font),
    slots: settings.RENDER_CONCURRENCY,
    limit: settings.RENDER_TIMEOUT_MS,
    onTrouble: (reason) => log.error({ reason }, 'a page for drawing could not be made ready'),
  })
  let known: Known | undefined
  return {
    pool,
    known: async (signal) => {
      known ??= { templates: createCatalogue(await pool.render(describeTemplates, signal)), icons, font }
      return known
    },
  }
}

/** A small list: drawing code is compiled, and fonts are read, when they are first used. */
async function drawOnce(page: Page, font: string): Promise<void> {
  const data = { title: 'a', items: [{ label: 'b' }] }
  const drawing = await draw(page, { options: { template: 'list-row-horizontal-icon-arrow', data }, texts: [], font })
  await photograph(page, drawing, { scale: 1, background: 'white' })
}
