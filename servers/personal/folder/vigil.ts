import { type FSWatcher, watch } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from './walk.ts'

/** Tells when a folder may have changed. */
export interface Vigil {
  /** Looks out for changes in these folders from now on, and in no others. */
  readonly attend: (folders: readonly Place[]) => void
  /** Resolves after a change has settled, or after `seconds` without any; rejects when the signal fires. */
  readonly next: (seconds: number) => Promise<void>
  /** Takes the folders for changed. */
  readonly ring: () => void
}

/** ms that a change is given to go on: a pull writes many files. */
const settling = 500
/** Each takes one of the kernel's watches, of which a user has some thousands. */
const mostFolders = 2_000

/**
 * Watches each folder by itself, since Node's recursive watching loses files that are renamed over others. What cannot be
 * watched is told once and left to the periodic look.
 */
export function openVigil(signal: AbortSignal, onTrouble: (reason: string) => void): Vigil {
  const watchers = new Map<string, FSWatcher>()
  let rung = Promise.withResolvers<void>()
  let told = false
  const ring = () => rung.resolve()
  const leave = (key: string) => {
    watchers.get(key)?.close()
    watchers.delete(key)
  }
  const fail = (key: string, error: Error) => {
    leave(key)
    if (!told && 'code' in error && error.code !== 'ENOENT') onTrouble(error.message)
    told = true
  }
  const enter = (key: string, folder: string) => {
    try {
      const watcher = watch(folder, { signal, persistent: false }, ring)
      watchers.set(key, watcher)
      watcher.on('error', (error) => fail(key, error))
      // What came into it before it was watched.
      ring()
    } catch (error) {
      fail(key, error instanceof Error ? error : new Error(String(error)))
    }
  }
  const attend = (folders: readonly Place[]) => {
    const wanted = new Map(folders.slice(0, mostFolders).map(({ real, ino }) => [`${ino} ${real}`, real]))
    for (const key of [...watchers.keys()]) if (!wanted.has(key)) leave(key)
    for (const [key, folder] of wanted) if (!watchers.has(key)) enter(key, folder)
  }
  const next = async (seconds: number) => {
    const late = new AbortController()
    const either = AbortSignal.any([signal, late.signal])
    await Promise.race([rung.promise, sleep(seconds * 1000, undefined, { signal: either })]).finally(() => late.abort())
    await sleep(settling, undefined, { signal })
    rung = Promise.withResolvers<void>()
  }
  return { attend, next, ring }
}
