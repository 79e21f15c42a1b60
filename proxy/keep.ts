import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { PackedTable } from '#manifests/packed-table.ts'

/** The last table, on disk, for a start without the controller. The proxies of an instance share it. */
export interface Keep extends Disposable {
  /** The table that was kept; undefined if there is none. Throws if what is there is not a table. */
  load(): Promise<PackedTable | undefined>
  /** Keeps a table, unless a newer one is kept already. */
  save(table: PackedTable, signal: AbortSignal): Promise<void>
}

const lockLimit = 5_000
const lockPause = 20

export async function openKeep(folder: string): Promise<Keep> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'table.json')
  // A table has no compare-and-rename; a write transaction is a lock that dies with its process.
  const lock = new DatabaseSync(join(folder, 'state.db'), { timeout: 0 })
  lock.exec('PRAGMA journal_mode = WAL')
  return {
    load: () => load(path),
    save: async (table, signal) => {
      await acquire(lock, signal)
      try {
        await replaceOlder(path, table)
      } finally {
        lock.exec('ROLLBACK')
      }
    },
    [Symbol.dispose]: () => lock.close(),
  }
}

async function load(path: string): Promise<PackedTable | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  return text === undefined ? undefined : PackedTable.parse(JSON.parse(text))
}

async function replaceOlder(path: string, table: PackedTable): Promise<void> {
  const kept = await load(path).catch(() => undefined)
  if (kept !== undefined && kept.revision >= table.revision) return
  const temporary = `${path}.${process.pid}`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(JSON.stringify(table))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
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
