import type { BigIntStats } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { PackedTable } from '#manifests/packed-table.ts'

/** The last table, on disk, for a start without the controller. The proxies of an instance share it. */
export interface Keep extends Disposable {
  /** The table that was kept; undefined if there is none. Throws if what is there is not a table. */
  load(): Promise<PackedTable | undefined>
  /** Keeps a table as this JSON text, unless a newer one is kept already. */
  save(revision: number, text: string, signal: AbortSignal): Promise<void>
}

const lockLimit = 5_000
const lockPause = 20

export async function openKeep(folder: string): Promise<Keep> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'table.json')
  // A file has no compare-and-rename; a transaction is a lock that dies with its process. Not one of state.db, which calls need.
  const lock = new DatabaseSync(join(folder, 'keep.db'), { timeout: 0 })
  let own: Written | undefined
  return {
    load: () => load(path),
    save: async (revision, text, signal) => {
      await acquire(lock, signal)
      try {
        const kept = await keptRevision(path, own)
        if (kept === undefined || kept < revision) own = { revision, stamp: await replace(path, text) }
      } finally {
        lock.exec('ROLLBACK')
      }
    },
    [Symbol.dispose]: () => lock.close(),
  }
}

/** What this proxy last wrote. */
interface Written {
  readonly revision: number
  readonly stamp: string
}

/** Of one that this proxy has written itself, nothing is read: calls would wait meanwhile. */
async function keptRevision(path: string, own: Written | undefined): Promise<number | undefined> {
  const stamp = await stat(path, { bigint: true }).then(stampOf, () => undefined)
  if (own !== undefined && stamp === own.stamp) return own.revision
  return (await load(path).catch(() => undefined))?.revision
}

/** Differs between any two files that were at a path. */
function stampOf({ ino, mtimeNs, size }: BigIntStats): string {
  return `${ino} ${mtimeNs} ${size}`
}

async function load(path: string): Promise<PackedTable | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  return text === undefined ? undefined : PackedTable.parse(JSON.parse(text))
}

/** Gives the stamp of the new file. */
async function replace(path: string, text: string): Promise<string> {
  const temporary = `${path}.${process.pid}`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
    await rename(temporary, path)
    return stampOf(await file.stat({ bigint: true }))
  } finally {
    await file.close()
  }
}

async function acquire(lock: DatabaseSync, signal: AbortSignal): Promise<void> {
  const limit = Date.now() + lockLimit
  for (;;) {
    try {
      lock.exec('BEGIN IMMEDIATE')
      return
    } catch (error) {
      if (Date.now() > limit) throw error
    }
    await sleep(lockPause, undefined, { signal })
  }
}
