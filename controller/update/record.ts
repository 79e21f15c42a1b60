import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const Asked = z.strictObject({
  /** What the next controller is made from, and the commit that asks for it. */
  ref: z.string(),
  commit: z.string(),
})
export type Asked = Readonly<z.infer<typeof Asked>>

const Swap = Asked.extend({
  /** Ids of the controller that is replaced, and of the one that takes its place. */
  old: z.string(),
  next: z.string(),
  /** Id of the image that the next one runs from. */
  image: z.string(),
  /** `name:tag` that the operator's controller was made from, which is to stand for that image. */
  tag: z.string().optional(),
})
export type Swap = Readonly<z.infer<typeof Swap>>

const Record = z.discriminatedUnion('phase', [
  Swap.extend({ phase: z.literal('swapping') }),
  Swap.extend({ phase: z.literal('returning'), reason: z.string() }),
  Asked.extend({ phase: z.literal('refused'), reason: z.string(), tag: z.string().optional() }),
  z.strictObject({ phase: z.literal(['checking', 'done']), tag: z.string().optional() }),
])
/** How far the last update of the controller came: what whoever goes on with it, or cleans up after it, must know. */
export type Record = Readonly<z.infer<typeof Record>>

const fileName = 'update.json'

/** Undefined where there was none, or where it is not one of this version. */
export async function readRecord(state: string): Promise<Record | undefined> {
  try {
    return Record.parse(JSON.parse(await readFile(join(state, fileName), 'utf8')))
  } catch {
    return undefined
  }
}

/** What outlives an update: the tag that the operator's controller was made from. */
export function tagOf(record: Record | undefined): { readonly tag?: string } {
  return record?.tag === undefined ? {} : { tag: record.tag }
}

export async function writeRecord(state: string, record: Record): Promise<void> {
  const file = join(state, fileName)
  await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600 })
  await rename(`${file}.new`, file)
}
