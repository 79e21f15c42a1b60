import { RenderFailure, stopped } from './render-failure.ts'

/**
 * Hands jobs, in the order they came, to who became free last, so that others may rest; at most so many wait, and none for
 * longer than `patience` (ms).
 */
export interface RenderQueue<Job> {
  /** Resolves once the job was taken. @throws RenderFailure busy, when it will not be. */
  offer(job: Job, signal?: AbortSignal): Promise<void>
  /** The next job, or undefined when the queue was closed. */
  take(): Promise<Job | undefined>
  waiting(): number
  close(): void
}

interface Offer<Job> {
  readonly job: Job
  readonly settle: (failure?: unknown) => void
}

const busy = (why: string) => new RenderFailure('busy', `The renderer is busy: ${why}. Try again in a few seconds.`)

export function createRenderQueue<Job>(places: number, patience: number): RenderQueue<Job> {
  const offers: Offer<Job>[] = []
  const takers: ((job: Job | undefined) => void)[] = []
  let closed = false

  const withdraw = (offer: Offer<Job>, failure: unknown) => {
    const place = offers.indexOf(offer)
    if (place < 0) return
    offers.splice(place, 1)
    offer.settle(failure)
  }
  const wait = (job: Job, signal?: AbortSignal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const offer: Offer<Job> = { job, settle: (failure) => (failure === undefined ? resolve() : reject(failure)) }
    const timer = setTimeout(() => withdraw(offer, busy(`no turn came within ${patience / 1000} s`)), patience)
    const onAbort = () => withdraw(offer, signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    offers.push(offer)
    return promise.finally(() => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    })
  }
  return {
    offer: async (job, signal) => {
      signal?.throwIfAborted()
      if (closed) throw stopped()
      const taker = takers.pop()
      if (taker !== undefined) return taker(job)
      if (offers.length >= places) throw busy(`${offers.length} renders are waiting`)
      await wait(job, signal)
    },
    take: async () => {
      const offer = offers.shift()
      offer?.settle()
      if (offer !== undefined || closed) return offer?.job
      return await new Promise((resolve) => takers.push(resolve))
    },
    waiting: () => offers.length,
    close: () => {
      closed = true
      for (const offer of [...offers]) withdraw(offer, stopped())
      for (const taker of takers.splice(0)) taker(undefined)
    },
  }
}
