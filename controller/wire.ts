import { createBell } from './bell.ts'

/** What is said goes to all who listen; a slow listener hears of each key only what was said last. */
export interface Wire<T> {
  say(key: string, value: T): void
  /** Yields what is said from this moment on, in order; undefined after each `beat` ms of silence. Ends with the signal. */
  listen(beat: number, signal: AbortSignal): AsyncGenerator<T | undefined>
}

export function createWire<T>(): Wire<T> {
  const listeners = new Set<(key: string, value: T) => void>()
  return {
    say(key, value) {
      for (const hear of listeners) hear(key, value)
    },
    listen(beat, signal) {
      const unheard = new Map<string, T>()
      const bell = createBell()
      const hear = (key: string, value: T) => {
        unheard.delete(key)
        unheard.set(key, value)
        bell.ring()
      }
      listeners.add(hear)
      signal.addEventListener('abort', () => listeners.delete(hear), { once: true })
      return heard(unheard, (limit) => bell.next(limit, signal), { beat, signal })
    },
  }
}

async function* heard<T>(
  unheard: Map<string, T>,
  wait: (limit: number) => Promise<void>,
  { beat, signal }: { readonly beat: number; readonly signal: AbortSignal },
): AsyncGenerator<T | undefined> {
  while (!signal.aborted) {
    if (unheard.size === 0) await wait(beat)
    if (signal.aborted) return
    if (unheard.size === 0) yield undefined
    for (const [key, value] of unheard) {
      unheard.delete(key)
      yield value
    }
  }
}
