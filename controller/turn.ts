/** One at a time, in the order of asking. */
export interface Turn {
  /** Runs `work` once it is its turn; an aborted wait throws and takes no turn. */
  take<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>
}

export function createTurn(): Turn {
  let last: Promise<unknown> = Promise.resolve()
  return {
    take(work, signal) {
      const mine = last.then(async () => {
        signal.throwIfAborted()
        return work()
      })
      last = mine.catch(() => undefined)
      return mine
    },
  }
}
