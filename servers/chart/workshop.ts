import { firstLine } from '../kit/first-line.ts'
import { log } from '../kit/log.ts'
import { createReadiness } from '../kit/readiness.ts'
import { RenderFailure, stopped, whyUnready } from '../kit/render-failure.ts'
import { createRenderQueue, type RenderQueue } from '../kit/render-queue.ts'
import type { Chart } from './painter/chart.ts'
import { startWorker, type WorkerProcess } from './worker-process.ts'

const queuePlaces = 32
const patience = 20_000
const stands = { good: 60_000, bad: 0 }
/** Milliseconds before a worker that did not start is tried again. */
const rest = 2_000

export interface WorkshopSettings {
  readonly workers: number
  /** Milliseconds that one chart may take. */
  readonly limit: number
}

/** A few processes that paint; who asks first is served first. */
export interface Workshop {
  /** A PNG. @throws ToolFailure: in the worker's words, or busy, too late, ended, stopping. */
  paint(chart: Chart, signal: AbortSignal): Promise<Buffer>
  /** Why nothing can be painted, or nothing: something was within the last minute, or can be now. */
  readonly ready: () => Promise<string | undefined>
  close(): Promise<void>
}

interface Job {
  readonly chart: Chart
  readonly signal: AbortSignal
  readonly resolve: (png: Buffer) => void
  readonly reject: (error: unknown) => void
}

/** Starts a worker when all that run have work. */
export function openWorkshop({ workers, limit }: WorkshopSettings): Workshop {
  const queue = createRenderQueue<Job>(queuePlaces, patience)
  const ending = new AbortController()
  const sample: Chart = { type: 'pie', input: { data: [{ category: 'a', value: 1 }], width: 100, height: 100 } }

  const paint = async (chart: Chart, caller?: AbortSignal) => {
    const signal = caller === undefined ? ending.signal : AbortSignal.any([caller, ending.signal])
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    // It may be refused before anybody waits for it.
    promise.catch(() => undefined)
    await queue.offer({ chart, signal, resolve, reject }, signal)
    return await promise
  }
  const { ready, good } = createReadiness(async () => await paint(sample).then(() => undefined, whyUnready), stands)
  const benches = Array.from({ length: workers }, () => work({ queue, limit, good, ending: ending.signal }))
  const close = async () => {
    queue.close()
    ending.abort(stopped())
    await Promise.all(benches)
  }
  return { paint, ready, close }
}

interface Bench {
  readonly queue: RenderQueue<Job>
  readonly limit: number
  readonly good: () => void
  readonly ending: AbortSignal
}

/** One worker after the other: each paints until it is worn or has ended. Ends when the queue is closed. */
async function work({ queue, limit, good, ending }: Bench): Promise<void> {
  const hire = createHire(ending)
  let worker: WorkerProcess | undefined
  for (;;) {
    const job = await queue.take()
    if (job === undefined) return await worker?.stop()
    try {
      worker = worker?.isUsable() ? worker : await replace(worker, hire)
      job.resolve(await worker.paint(job.chart, limit, job.signal))
      good()
    } catch (error) {
      job.reject(error)
      report(error)
    }
    if (worker?.isUsable() === false) worker = await replace(worker, hire).catch(unable)
  }
}

async function replace(worker: WorkerProcess | undefined, hire: () => Promise<WorkerProcess>): Promise<WorkerProcess> {
  await worker?.stop()
  return await hire()
}

/** Starts workers; after one that did not start, the next is tried only when some time has passed. */
function createHire(ending: AbortSignal): () => Promise<WorkerProcess> {
  let failure: { readonly until: number; readonly error: RenderFailure } | undefined
  return async () => {
    ending.throwIfAborted()
    if (failure !== undefined && Date.now() < failure.until) throw failure.error
    try {
      const worker = await startWorker()
      if (worker.fontsLack !== undefined) log.warn({ reason: worker.fontsLack }, 'some labels will be boxes')
      return worker
    } catch (cause) {
      const error = new RenderFailure('unavailable', `Nothing can be drawn now: ${firstLine(cause)}`, { cause })
      failure = { until: Date.now() + rest, error }
      throw error
    }
  }
}

function unable(error: unknown): undefined {
  report(error)
}

/** Callers are told what they can do; what they cannot is for the log. */
function report(error: unknown): void {
  if (error instanceof RenderFailure && error.reason === 'stopped') return
  if (error instanceof Error && error.cause !== undefined) log.error({ err: error }, 'a drawing process had trouble')
}
