import { watch } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Tells when a folder may have changed. */
export interface Vigil {
  /** Resolves after a change has settled, or after `seconds` without any; rejects when the signal fires. */
  readonly next: (seconds: number) => Promise<void>
  /** Takes the folder for changed. */
  readonly ring: () => void
}

/** ms that a change is given to go on: a pull writes many files. */
const settling = 500

/** Watches a folder until the signal; what cannot be watched is told once and left to the periodic look. */
export function openVigil(folder: string, signal: AbortSignal, onTrouble: (reason: string) => void): Vigil {
  let rung = Promise.withResolvers<void>()
  const ring = () => rung.resolve()
  let watching = false
  const start = () => {
    if (watching) return
    try {
      const ignore = (path: string) => /(^|[/\\])(\.git[/\\](?!index\.lock|HEAD)|node_modules[/\\])/.test(path)
      const watcher = watch(folder, { recursive: true, signal, ignore }, ring)
      watching = true
      watcher.on('error', (error) => {
        watching = false
        watcher.close()
        onTrouble(error.message)
      })
    } catch (error) {
      onTrouble(error instanceof Error ? error.message : String(error))
    }
  }
  const next = async (seconds: number) => {
    start()
    const late = new AbortController()
    const either = AbortSignal.any([signal, late.signal])
    await Promise.race([rung.promise, sleep(seconds * 1000, undefined, { signal: either })]).finally(() => late.abort())
    await sleep(settling, undefined, { signal })
    rung = Promise.withResolvers<void>()
  }
  return { next, ring }
}
