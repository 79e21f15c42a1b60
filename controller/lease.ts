import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * The single-writer lease of a state folder: an exclusive transaction on an empty database, which the kernel lets go of
 * when the process dies. Waits for another holder, telling `onWait` once.
 */
export async function acquireLease(state: string, onWait: () => void, signal: AbortSignal): Promise<Disposable> {
  const file = join(state, 'lease.db')
  let lease = takeLease(file)
  if (lease === undefined) onWait()
  while (lease === undefined) {
    await pause(500, undefined, { signal })
    lease = takeLease(file)
  }
  return lease
}

/** A lease on a file, made where it is missing; undefined while another holds it. */
export function takeLease(file: string): Disposable | undefined {
  const db = new DatabaseSync(file)
  try {
    db.exec('begin exclusive')
    return { [Symbol.dispose]: () => db.close() }
  } catch (error) {
    db.close()
    if (error instanceof Error && error.message.includes('locked')) return undefined
    throw error
  }
}
