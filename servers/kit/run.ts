import { log } from './log.ts'
import type { Served } from './serve.ts'

/** Longer than `close` gives to calls in flight, shorter than a container gets to stop. */
const patience = 8_000

/**
 * What a `main.ts` is: starts, then serves until SIGTERM or SIGINT. The signal fires with either, so that a start can
 * be given up too. A failed start is one line in the log and exit code 1.
 */
export async function run(start: (signal: AbortSignal) => Promise<Served>): Promise<void> {
  const stopping = new AbortController()
  const asked = new Promise<void>((heard) => {
    stopping.signal.addEventListener('abort', () => heard(), { once: true })
  })
  stopping.signal.addEventListener('abort', () => setTimeout(() => exit('gave up waiting', 1), patience).unref())
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort())
  try {
    const served = await start(stopping.signal)
    await asked
    await served.close()
    exit('stopped', 0)
  } catch (error) {
    log.debug({ err: error }, 'the whole error')
    exit(error instanceof Error ? error.message : String(error), stopping.signal.aborted ? 0 : 1)
  }
}

function exit(why: string, code: 0 | 1): never {
  if (code === 0) log.info(why)
  else log.fatal(why)
  process.exit(code)
}
