/** Waits for something that does not know the signal; rejects with the signal's reason when that comes first. */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  const aborted = Promise.withResolvers<never>()
  const stop = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', stop))
}

/** Resolves when a signal is aborted, be it already. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return orAbort(new Promise<never>(() => undefined), signal).catch(() => undefined)
}
