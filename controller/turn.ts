import { orAbort } from './or-abort.ts'

/** One at a time, in the order of asking. */
export interface Turn {
  /** Runs `work` once it is its turn; an aborted wait throws at once and takes no turn. */
  take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createTurn(): Turn {
  let last: Promise<void> = Promise.resolve()
  return {
    async take(work, signal) {
      const before = last
      const mine = Promise.withResolvers<void>()
      last = before.then(() => mine.promise)
      try {
        await orAbort(before, signal)
        return await work()
      } finally {
        mine.resolve()
      }
    },
  }
}
