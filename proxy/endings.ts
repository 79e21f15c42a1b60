/** What is being ended at servers: many sessions may end at once, and a server is not to be stormed. Disposing waits for all of it. */
export interface Endings extends AsyncDisposable {
  /** Resolves when it was ended, as well as that could be done. */
  add(end: () => Promise<void>): Promise<void>
  /** Waits for no other. */
  track(ending: Promise<void>): void
}

/** So many at once. */
const width = 16

export function createEndings(): Endings {
  const all = new Set<Promise<void>>()
  const waiting: (() => void)[] = []
  let running = 0
  const run = async (end: () => Promise<void>) => {
    if (running >= width) await new Promise<void>((go) => waiting.push(go))
    running++
    try {
      await end()
    } finally {
      running--
      waiting.shift()?.()
    }
  }
  const track = (begun: Promise<void>) => {
    const ending = begun.finally(() => all.delete(ending))
    all.add(ending)
    return ending
  }
  return {
    add: (end) => track(run(end)),
    track: (ending) => void track(ending),
    [Symbol.asyncDispose]: async () => {
      while (all.size > 0) await Promise.allSettled(all)
    },
  }
}
