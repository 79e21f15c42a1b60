import { type Opened, openContent } from './folder/content.ts'
import { type Found, reasonOf } from './folder/walk.ts'
import type { Format } from './format/format.ts'
import { headOf, recognise, strangeness } from './format/recognise.ts'
import { type Row, Unreadable, type Unusable } from './record.ts'
import type { Units } from './settings.ts'
import type { Source } from './source.ts'
import type { Store } from './store.ts'
import type { Zone } from './zone.ts'

/** Rows of one file: a song every three minutes for ten years is a million. */
const mostRows = 2_000_000

export interface Intake {
  readonly store: Store
  readonly zone: Zone
  readonly units: Units
  readonly signal: AbortSignal
}

/** What came of a file: what is known of it now, or nothing where it changed while it was read. */
export type Taken = Source | 'changing'

/**
 * Reads a file into the store, where its rows take the place of those that it had before; if it cannot be read, those
 * stay, and the result says why.
 */
export async function takeIn(intake: Intake, found: Found, before: Source): Promise<Taken> {
  const now = { ...before, print: found.print, changed: found.changed }
  try {
    await using file = await openContent(found.real, intake.signal)
    const taken = await readInto(intake, file, now)
    if ((await file.print()) !== found.print) return 'changing'
    if (taken.fault === undefined && taken.format !== undefined) intake.store.publish(before.id)
    return taken
  } catch (error) {
    intake.signal.throwIfAborted()
    if (error instanceof Unreadable) return { ...now, fault: error.message }
    if (isGone(error)) return 'changing'
    return { ...now, fault: `cannot be read: ${reasonOf(error)}` }
  } finally {
    intake.store.discard()
  }
}

function isGone(error: unknown): boolean {
  return reasonOf(error) === 'ENOENT'
}

async function readInto(intake: Intake, file: Opened, now: Source): Promise<Source> {
  const head = headOf(now.path, file)
  const format = recognise(head)
  if (format === undefined) {
    const strange = strangeness(head)
    const lost = now.format === undefined ? undefined : `no longer looks like ${now.format}`
    return { ...now, fault: strange ?? lost }
  }
  const rows = format.read({ head, content: file, zone: intake.zone, units: intake.units })
  const tally = await stageAll(intake, { id: now.id, format, rows })
  if (tally.rows === 0 && tally.unusable > 0) throw new Unreadable(`no line of it is of use: ${tally.why}`)
  return { ...now, ...tally, format: format.name, fault: undefined }
}

type Tally = Pick<Source, 'rows' | 'unusable' | 'why' | 'first' | 'last'>

interface Batch {
  readonly id: number
  readonly format: Format
  readonly rows: AsyncIterable<Row | Unusable>
}

async function stageAll({ store, zone, signal }: Intake, { id, format, rows }: Batch): Promise<Tally> {
  let [count, unusable] = [0, 0]
  let why: string | undefined
  let [first, last] = ['9999', '']
  for await (const row of rows) {
    signal.throwIfAborted()
    if (row.kind === 'unusable') {
      unusable++
      why ??= row.why
      continue
    }
    if (++count > mostRows) throw new Unreadable(`more than ${mostRows} rows`)
    store.stage(id, format.name, row)
    const day = dayOf(row, zone)
    if (day !== undefined && day < first) first = day
    if (day !== undefined && day > last) last = day
  }
  return { rows: count, unusable, why, ...(last === '' ? { first: undefined, last: undefined } : { first, last }) }
}

function dayOf(row: Row, zone: Zone): string | undefined {
  if (row.kind === 'film') return row.day
  const at = row.kind === 'game' ? row.last : row.at
  return at === undefined ? undefined : zone.dayOf(at)
}
