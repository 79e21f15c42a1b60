import type { BrowserSupply } from './browser-supply.ts'
import { firstLine } from './first-line.ts'
import { type Draw, perform } from './perform.ts'
import { RenderFailure } from './render-failure.ts'
import type { RenderQueue } from './render-queue.ts'
import type { Stage, StageFiles } from './stage.ts'

const openLimit = 15_000
const answerLimit = 1_000

export interface Job {
  /** Resolves to whether the stage held. */
  readonly run: (stage: Stage) => Promise<boolean>
  readonly refuse: (error: unknown) => void
}

export interface Slot {
  readonly files: StageFiles
  readonly warm: Draw<unknown>
  readonly supply: BrowserSupply
  readonly queue: RenderQueue<Job>
  readonly good: () => void
  readonly report: (error: unknown) => undefined
}

/** One slot's life: a page is made ready, a job is taken, the page is closed. Ends when the queue is closed. */
export async function serve(slot: Slot): Promise<void> {
  for (;;) {
    const prepared = await prepare(slot).catch(slot.report)
    const job = await slot.queue.take()
    if (job === undefined) return await prepared?.close()
    await useFor(job, slot, prepared)
  }
}

/** Does the job on the prepared stage, or on another where that is missing or has ended, with its browser maybe. */
async function useFor(job: Job, slot: Slot, prepared: Stage | undefined): Promise<void> {
  try {
    const stage = (await usable(prepared)) ?? (await prepare(slot).catch(() => prepare(slot)))
    if (await job.run(stage)) slot.good()
    await stage.close()
  } catch (cause) {
    slot.report(cause)
    job.refuse(cause instanceof RenderFailure ? cause : unavailable(cause))
  }
}

function unavailable(cause: unknown): RenderFailure {
  return new RenderFailure('unavailable', `The renderer cannot start: ${firstLine(cause)}`, { cause })
}

/** The stage if it still answers: a browser's end is known a little later than it happens. */
async function usable(stage: Stage | undefined): Promise<Stage | undefined> {
  if (stage === undefined) return undefined
  const draw: Draw<Stage> = (page) => page.evaluate(() => undefined).then(() => stage)
  return await perform({ stage, draw, limit: answerLimit }).catch(async () => {
    await stage.close()
    return undefined
  })
}

/** Opens a page, and warms it unless somebody is waiting already. */
async function prepare({ files, warm, supply, queue, good }: Slot): Promise<Stage> {
  const stage = await supply.openStage(files, openLimit)
  if (queue.waiting() > 0) return stage
  try {
    await perform({ stage, draw: warm, limit: openLimit })
    good()
    return stage
  } catch (error) {
    await stage.close()
    throw error
  }
}
