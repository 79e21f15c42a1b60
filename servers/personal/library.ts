import { openVigil } from './folder/vigil.ts'
import { type View, walk, whyUnreadable } from './folder/walk.ts'
import { type Intake, takeIn } from './intake.ts'
import type { Settings } from './settings.ts'
import type { Source } from './source.ts'
import { openStore, type Store } from './store.ts'
import { createZone, type Zone } from './zone.ts'

/** The exports in the folder, as they are now. */
export interface Library {
  readonly store: Store
  readonly zone: Zone
  /** Every file that was looked at, in order. */
  readonly sources: () => readonly Source[]
  /** What was wrong with the folder at the last look, one line each. */
  readonly faults: () => readonly string[]
  /** Resolves when everything was read once. */
  readonly settled: Promise<void>
  /** Why there is nothing to answer from. */
  readonly ready: () => Promise<string | undefined>
  readonly close: () => Promise<void>
}

export interface Ears {
  readonly onRead: (source: Source) => void
  readonly onTrouble: (reason: string, error?: unknown) => void
}

/** Starts to read the folder, and again whenever something in it changes. */
export function openLibrary(settings: Settings, ears: Ears): Library {
  const ending = new AbortController()
  const zone = createZone(settings.PERSONAL_TZ)
  const store = openStore(zone)
  const intake = { store, zone, units: settings.PERSONAL_UNITS, signal: ending.signal }
  const settled = Promise.withResolvers<void>()
  const shelf = createShelf(intake, ears)
  const vigil = openVigil(ending.signal, (reason) =>
    ears.onTrouble(
      `changes are not watched for everywhere, only looked for every ${settings.PERSONAL_RELOAD_SECONDS} s: ${reason}`,
    ),
  )
  const look = async () => {
    const view = await walk(settings.PERSONAL_DATA_DIR)
    vigil.attend(view.folders)
    const isWhole = await shelf.look(view)
    if (!isWhole) vigil.ring()
  }
  const unlessEnding = (error: unknown) => {
    if (!ending.signal.aborted) ears.onTrouble('a look at the folder failed', error)
  }
  const keepUp = async () => {
    while (!ending.signal.aborted) {
      await look().catch(unlessEnding)
      settled.resolve()
      await vigil.next(settings.PERSONAL_RELOAD_SECONDS).catch(unlessEnding)
    }
  }
  const kept = keepUp()
  return {
    store,
    zone,
    sources: shelf.sources,
    faults: shelf.faults,
    settled: settled.promise,
    ready: () => whyUnreadable(settings.PERSONAL_DATA_DIR),
    close: async () => {
      ending.abort()
      settled.resolve()
      await kept
      store.close()
    },
  }
}

interface Shelf {
  /** Reads what is new or changed. False where something changed meanwhile. */
  readonly look: (view: View) => Promise<boolean>
  readonly sources: () => readonly Source[]
  readonly faults: () => readonly string[]
}

function createShelf(intake: Intake, { onRead }: Ears): Shelf {
  const { store } = intake
  const known = new Map<string, Source>()
  let faults: readonly string[] = []
  let last = 0
  const forget = ({ files, unknown }: View) => {
    const present = new Set(files.map(({ path }) => path))
    const gone = [...known.values()].filter(({ path }) => !present.has(path) && !unknown.some(holds(path)))
    for (const { id, path } of gone) {
      store.remove(id)
      known.delete(path)
    }
    return gone.length > 0
  }
  const read = async ({ files }: View) => {
    let [isWhole, isChanged] = [true, false]
    for (const found of files) {
      const before = known.get(found.path) ?? {
        id: ++last,
        path: found.path,
        print: '',
        changed: 0,
        rows: 0,
        unusable: 0,
      }
      if (before.print === found.print) continue
      const taken = await takeIn(intake, found, before)
      if (taken === 'changing') isWhole = false
      else {
        known.set(found.path, taken)
        isChanged = true
        onRead(taken)
      }
    }
    return { isWhole, isChanged }
  }
  const look = async (view: View) => {
    faults = view.faults
    const isLess = forget(view)
    const { isWhole, isChanged } = await read(view)
    if (isLess || isChanged) store.recount()
    return isWhole
  }
  return {
    look,
    sources: () => [...known.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    faults: () => faults,
  }
}

function holds(path: string): (folder: string) => boolean {
  return (folder) => folder === '' || path.startsWith(`${folder}/`)
}
