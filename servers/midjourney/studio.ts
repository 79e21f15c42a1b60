import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { Album } from './album.ts'
import { openDatabase } from './database.ts'
import type { settingsSchema } from './environment.ts'
import { Ledger } from './ledger.ts'
import { createGuard, type Guard } from './public-address.ts'
import { createService, type Service } from './service.ts'
import { createWatch, type Watch } from './watch.ts'

/** What the tools work with. */
export interface Studio {
  readonly service: Service
  readonly ledger: Ledger
  readonly album: Album
  readonly guard: Guard
  readonly watch: Watch
  readonly close: () => Promise<void>
}

/**
 * Opens what is remembered, and goes on with what has no end yet.
 * @throws Error with one line when the folder cannot be used.
 */
export function openStudio(settings: z.infer<typeof settingsSchema>, key: string): Studio {
  const { MIDJOURNEY_API_URL: url, MIDJOURNEY_STATE_DIR: folder } = settings
  makeFolder(folder)
  const database = openDatabase(join(folder, 'tasks.db'))
  const ledger = new Ledger(database)
  const album = new Album(database, join(folder, 'pictures'), settings.MIDJOURNEY_KEEP_MB)
  const service = createService(url, key)
  const guard = createGuard(url.hostname)
  const watch = createWatch({ service, ledger, album, guard, poll: settings.MIDJOURNEY_POLL_MS })
  for (const { id } of ledger.running()) watch.follow(id)
  for (const { task } of album.waiting()) watch.follow(task)
  const close = async () => {
    await watch.close()
    await guard.dispatcher.destroy()
    database.close()
  }
  return { service, ledger, album, guard, watch, close }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`MIDJOURNEY_STATE_DIR=${JSON.stringify(folder)}: ${reason}`, { cause })
  }
}
