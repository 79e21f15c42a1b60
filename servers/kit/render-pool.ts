import { usualWear, type Wear } from './browser.ts'
import { createBrowserSupply } from './browser-supply.ts'
import type { ChromiumProgram } from './chromium.ts'
import { firstLine } from './first-line.ts'
import { type Draw, perform } from './perform.ts'
import { createReadiness } from './readiness.ts'
import { RenderFailure, stopped, whyUnready } from './render-failure.ts'
import { createRenderQueue, type RenderQueue } from './render-queue.ts'
import { type Job, serve } from './render-slot.ts'
import type { Stage, StageFiles } from './stage.ts'

const queuePlaces = 16
const patience = 20_000
const stands = { good: 60_000, bad: 0 }

export interface RenderPoolSettings {
  readonly program: ChromiumProgram
  readonly files: StageFiles
  /** A throw-away render that makes the first real one on a page quick; a page that fails it is not used. */
  readonly warm: Draw<unknown>
  readonly slots: number
  /** Milliseconds that one render may take. */
  readonly limit: number
  readonly wear?: Wear
  /** Told, once each, of what the pool survived: a browser that does not start, a page that was not used. */
  readonly onTrouble?: (words: string) => void
}

/** A few warm pages of one browser; each is used for one render and then closed, so that nothing passes to the next. */
export interface RenderPool {
  /**
   * Runs `draw` on a page of its own. What `draw` throws is passed on; user text must reach the page as an argument of
   * `page.evaluate`, never as code. It runs a second time if the browser ended under it, which may be another's fault.
   *
   * @throws RenderFailure when the pool is full, the time is over or the browser has ended.
   */
  render<Drawn>(draw: Draw<Drawn>, signal?: AbortSignal): Promise<Drawn>
  /** Why nothing can be rendered, or nothing: something was within the last minute, or can be now. */
  readonly ready: () => Promise<string | undefined>
  /** Process ids of the browsers that run. */
  pids(): readonly number[]
  close(): Promise<void>
}

/** Starts warming its pages at once. */
export function openRenderPool(settings: RenderPoolSettings): RenderPool {
  const supply = createBrowserSupply(settings.program, settings.wear ?? usualWear)
  const queue = createRenderQueue<Job>(queuePlaces, patience)
  const ending = new AbortController()
  let reported: unknown

  const report = (error: unknown): undefined => {
    if (error !== reported && !ending.signal.aborted) settings.onTrouble?.(firstLine(error))
    reported = error
  }
  const { ready, good } = createReadiness(
    async () => await render(settings.warm).then(() => undefined, whyUnready),
    stands,
  )
  const slots = Array.from({ length: settings.slots }, () => serve({ ...settings, supply, queue, good, report }))
  const attempt = <Drawn>(draw: Draw<Drawn>, signal?: AbortSignal) =>
    drawOnce(queue, draw, { limit: settings.limit, ending: ending.signal, signal })
  const render = async <Drawn>(draw: Draw<Drawn>, signal?: AbortSignal): Promise<Drawn> =>
    await attempt(draw, signal).catch((error: unknown) => {
      if (!isCrash(error)) throw error
      return attempt(draw, signal)
    })
  const close = async () => {
    queue.close()
    ending.abort(stopped())
    await supply.close()
    await Promise.all(slots)
  }
  return { render, ready, pids: supply.pids, close }
}

interface Ends {
  readonly limit: number
  readonly ending: AbortSignal
  readonly signal: AbortSignal | undefined
}

async function drawOnce<Drawn>(queue: RenderQueue<Job>, draw: Draw<Drawn>, ends: Ends): Promise<Drawn> {
  const { promise, resolve, reject } = Promise.withResolvers<Drawn>()
  // It may be refused before anybody waits for it.
  promise.catch(() => undefined)
  const signal = ends.signal === undefined ? ends.ending : AbortSignal.any([ends.signal, ends.ending])
  const run = async (stage: Stage) => {
    const performed = perform({ stage, draw, limit: ends.limit, signal })
    performed.then(resolve, reject)
    return await performed.then(() => true, isDrawsOwn)
  }
  await queue.offer({ run, refuse: reject }, signal)
  return await promise
}

function isCrash(error: unknown): boolean {
  return error instanceof RenderFailure && error.reason === 'crashed'
}

function isDrawsOwn(error: unknown): boolean {
  return !(error instanceof RenderFailure)
}
