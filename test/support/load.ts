/** Calls from several callers at once until told to stop; what failed is kept with its time. */
export interface Load {
  stop(): Promise<{ readonly calls: number; readonly failures: readonly string[] }>
}

export function startLoad(call: () => Promise<void>, width = 4): Load {
  let going = true
  let calls = 0
  const failures: string[] = []
  const began = Date.now()
  const loop = async () => {
    while (going) {
      await call().catch((error: unknown) => failures.push(`after ${Date.now() - began} ms: ${error}`))
      calls++
    }
  }
  const loops = Array.from({ length: width }, loop)
  return {
    async stop() {
      going = false
      await Promise.all(loops)
      return { calls, failures }
    },
  }
}
