import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal } from './refusal.ts'

/** ms, the longer the more often in a row it did not last. */
const pauses = [500, 1_000, 2_000, 5_000, 10_000, 30_000]
/** What lasted so long is begun again as if it had never broken off, ms. */
const lasting = 30_000
/** Who asks again and again with a credential that is refused may lock its owner out, ms. */
const refusedPause = 20 * 60_000

export interface Persisting {
  readonly signal: AbortSignal
  /** Called with what came in the way. */
  readonly broken: (error: unknown) => void
}

/** Begins again what should last, until the signal ends it or it says itself that it is over. It may say how long to wait, ms. */
export async function persist(
  once: () => Promise<'over' | number | undefined>,
  { signal, broken }: Persisting,
): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    const since = performance.now()
    const end = await once().catch((error: unknown) => {
      broken(error)
      return isRefused(error) ? refusedPause : undefined
    })
    if (end === 'over') return
    if (performance.now() - since > lasting) round = 0
    const pause = end ?? pauses[Math.min(round, pauses.length - 1)]
    await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined)
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof Refusal && (error.refusal === 'credential' || error.refusal === 'no-credential')
}
