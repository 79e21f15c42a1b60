import { usualWear, type Wear } from './browser.ts'
import { type BrowserSupply, createBrowserSupply } from './browser-supply.ts'
import type { ChromiumProgram } from './chromium.ts'
import { type Draw, perform } from './perform.ts'
import { RenderFailure, stopped } from './render-failure.ts'
import { createRenderQueue, type RenderQueue } from './render-queue.ts'
import type { Stage, StageFiles } from './stage.ts'

const queuePlaces = 16
const patience = 20_000
const freshness = 60_000

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
  /** Resolves if something was rendered within the last minute, or can be now. */
  check(): Promise<void>
  /** Process ids of the browsers that run. */
  pids(): readonly number[]
  close(): Promise<void>
}

interface Job {
  /** Resolves to whether the stage held. */
  readonly run: (stage: Stage) => Promise<boolean>
  readonly refuse: (error: unknown) => void
}

/** Starts warming its pages at once. */
export function openRenderPool(settings: RenderPoolSettings): RenderPool {
  const supply = createBrowserSupply(settings.program, settings.wear ?? usualWear)
  const queue = createRenderQueue<Job>(queuePlaces, patience)
  const ending = new AbortController()
  let lastGood = 0
  let reported: unknown
  let checking: Promise<void> | undefined

  const good = () => {
    lastGood = Date.now()
  }
  const report = (error: unknown): undefined => {
    if (error !== reported && !ending.signal.aborted) settings.onTrouble?.(words(error))
    reported = error
  }
  const slots = Array.from({ length: settings.slots }, () => serve({ settings, supply, queue, good, report }))
  const attempt = async <Drawn>(draw: Draw<Drawn>, signal?: AbortSignal): Promise<Drawn> => {
    const { promise, resolve, reject } = Promise.withResolvers<Drawn>()
    // It may be refused before anybody waits for it.
    promise.catch(() => undefined)
    const ends = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
    const run = async (stage: Stage) => {
      const performed = perform({ stage, draw, limit: settings.limit, signal: ends })
      performed.then(resolve, reject)
      return await performed.then(() => true, isDrawsOwn)
    }
    await queue.offer({ run, refuse: reject }, ends)
    return await promise
  }
  const render = async <Drawn>(draw: Draw<Drawn>, signal?: AbortSignal): Promise<Drawn> =>
    await attempt(draw, signal).catch((error: unknown) => {
      if (!isCrash(error)) throw error
      return attempt(draw, signal)
    })
  const check = async () => {
    if (Date.now() - lastGood < freshness) return
    checking ??= render(settings.warm)
      .then(good, unlessBusy)
      .finally(() => {
        checking = undefined
      })
    await checking
  }
  const close = async () => {
    queue.close()
    ending.abort(stopped())
    await supply.close()
    await Promise.all(slots)
  }
  return { render, check, pids: supply.pids, close }
}

function isCrash(error: unknown): boolean {
  return error instanceof RenderFailure && error.reason === 'crashed'
}

function isDrawsOwn(error: unknown): boolean {
  return !(error instanceof RenderFailure)
}

function unlessBusy(error: unknown): void {
  if (error instanceof RenderFailure && error.reason === 'busy') return
  throw error
}

interface Slot {
  readonly settings: RenderPoolSettings
  readonly supply: BrowserSupply
  readonly queue: RenderQueue<Job>
  readonly good: () => void
  readonly report: (error: unknown) => undefined
}

/** One slot's life: a page is made ready, a job is taken, the page is closed. Ends when the queue is closed. */
async function serve(slot: Slot): Promise<void> {
  for (;;) {
    const prepared = await prepare(slot).catch(slot.report)
    const job = await slot.queue.take()
    if (job === undefined) return await prepared?.close()
    await useFor(job, slot, prepared)
  }
}

/** Does the job on the prepared stage, or on another one where that is missing or has ended. */
async function useFor(job: Job, slot: Slot, prepared: Stage | undefined): Promise<void> {
  try {
    const stage = (await usable(prepared)) ?? (await prepare(slot))
    if (await job.run(stage)) slot.good()
    await stage.close()
  } catch (cause) {
    slot.report(cause)
    job.refuse(new RenderFailure('unavailable', `The renderer cannot start: ${words(cause)}`, { cause }))
  }
}

/** The stage if it still answers: a browser's end is known a little later than it happens. */
async function usable(stage: Stage | undefined): Promise<Stage | undefined> {
  const draw: Draw<Stage | undefined> = (page) => page.evaluate(() => undefined).then(() => stage)
  return stage === undefined ? undefined : await perform({ stage, draw, limit: 1_000 }).catch(() => undefined)
}

/** Opens a page, and warms it unless somebody is waiting already. */
async function prepare({ settings, supply, queue, good }: Slot): Promise<Stage> {
  const stage = await supply.openStage(settings.files, settings.limit)
  if (queue.waiting() > 0) return stage
  try {
    await perform({ stage, draw: settings.warm, limit: settings.limit })
    good()
    return stage
  } catch (error) {
    await stage.close()
    throw error
  }
}

function words(error: unknown): string {
  // Playwright's messages go on with the browser's whole log.
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
