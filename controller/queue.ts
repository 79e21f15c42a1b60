/** Events only add a key; a key that is added while it runs or waits is remembered once. */
export interface Queue {
  add(key: string, delay?: number): void
  /** Ends what runs, and resolves once it has ended; later keys are ignored. */
  close(): Promise<void>
}

/** `run` is never called twice at once for one key, and gets the signal of the queue's end; it must not reject. */
export function createQueue(run: (key: string, signal: AbortSignal) => Promise<void>): Queue {
  const running = new Map<string, Promise<void>>()
  const dirty = new Set<string>()
  const timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly at: number }>()
  const closing = new AbortController()

  function start(key: string): void {
    clearTimeout(timers.get(key)?.timer)
    timers.delete(key)
    if (closing.signal.aborted) return
    if (running.has(key)) {
      dirty.add(key)
      return
    }
    running.set(
      key,
      run(key, closing.signal).finally(() => finish(key)),
    )
  }

  function finish(key: string): void {
    running.delete(key)
    if (dirty.delete(key)) start(key)
  }

  return {
    add(key, delay = 0) {
      if (delay === 0) return start(key)
      const at = Date.now() + delay
      const waiting = timers.get(key)
      if (waiting !== undefined && waiting.at <= at) return
      clearTimeout(waiting?.timer)
      timers.set(key, { timer: setTimeout(() => start(key), delay), at })
    },
    async close() {
      closing.abort(new Error('the controller stops'))
      for (const { timer } of timers.values()) clearTimeout(timer)
      await Promise.all(running.values())
    },
  }
}
