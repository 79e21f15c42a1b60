/** Sessions at servers that are being ended: many may end at once, and a server is not to be stormed. */
export interface Endings {
  /** Resolves when it was ended, as well as that could be done. */
  add(end: () => Promise<void>): Promise<void>
}

/** So many at once. */
const width = 16

export function createEndings(): Endings {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    add: async (end) => {
      if (running >= width) await new Promise<void>((go) => waiting.push(go))
      running++
      try {
        await end()
      } finally {
        running--
        waiting.shift()?.()
      }
    },
  }
}
