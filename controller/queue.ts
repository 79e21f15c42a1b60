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
  const timers = new Map<string, NodeJS.Timeout>()
  const closing = new AbortController()

  function start(key: string): void {
    clearTimeout(timers.get(key))
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
      if (delay === 0) start(key)
      else if (!timers.has(key))
        timers.set(
          key,
          setTimeout(() => start(key), delay),
        )
    },
    async close() {
      closing.abort(new Error('the controller stops'))
      for (const timer of timers.values()) clearTimeout(timer)
      await Promise.all(running.values())
    },
  }
}
