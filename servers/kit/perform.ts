import type { Page } from 'playwright-core'
import { RenderFailure } from './render-failure.ts'
import type { Stage } from './stage.ts'

/** What is done on a page, for a result that is no part of it. */
export type Draw<Drawn> = (page: Page) => Promise<Drawn>

export interface Performance<Drawn> {
  readonly stage: Stage
  readonly draw: Draw<Drawn>
  readonly limit: number
  readonly signal?: AbortSignal
}

/** Settles with `draw`, the time limit (milliseconds), the stage's end or the signal, whichever is first. */
export async function perform<Drawn>({ stage, draw, limit, signal }: Performance<Drawn>): Promise<Drawn> {
  const cut = Promise.withResolvers<never>()
  const late = () =>
    cut.reject(new RenderFailure('timeout', `Rendering took longer than ${limit / 1000} s and was stopped.`))
  const crashed = () =>
    cut.reject(
      new RenderFailure(
        'crashed',
        'The browser ended while it was rendering this, twice. Make the input smaller or simpler.',
      ),
    )
  const aborted = () => cut.reject(signal?.reason)
  const timer = setTimeout(late, limit)
  stage.gone.addEventListener('abort', crashed, { once: true })
  signal?.addEventListener('abort', aborted, { once: true })
  try {
    if (stage.gone.aborted) crashed()
    if (signal?.aborted) aborted()
    return await Promise.race([cut.promise, draw(stage.page)])
  } finally {
    clearTimeout(timer)
    stage.gone.removeEventListener('abort', crashed)
    signal?.removeEventListener('abort', aborted)
  }
}
