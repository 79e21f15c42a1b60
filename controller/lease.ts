import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * The single-writer lease of a state folder: an exclusive transaction on an empty database, which the kernel lets go of
 * when the process dies. Waits for another holder, telling `onWait` once.
 */
export async function acquireLease(state: string, onWait: () => void, signal: AbortSignal): Promise<Disposable> {
  const db = new DatabaseSync(join(state, 'lease.db'))
  try {
    for (let told = false; !tryLock(db); told = true) {
      if (!told) onWait()
      await pause(500, undefined, { signal })
    }
  } catch (error) {
    db.close()
    throw error
  }
  return { [Symbol.dispose]: () => db.close() }
}

function tryLock(db: DatabaseSync): boolean {
  try {
    db.exec('begin exclusive')
    return true
  } catch (error) {
    if (error instanceof Error && error.message.includes('locked')) return false
    throw error
  }
}
