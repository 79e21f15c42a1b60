import type { Asked } from './asked.ts'
import { type Entry, entriesIn, type Listing, promptListing, resourceListing, templateListing } from './listing.ts'
import { isRecord } from './message.ts'
import { pageLimit } from './tool-list.ts'

/** What a server has beside tools, by what its entries are called. */
export interface Inventory {
  readonly prompts: readonly string[]
  readonly resources: readonly string[]
  readonly templates: readonly string[]
  readonly listed: Readonly<Record<'prompts' | 'resources' | 'templates', readonly Entry[]>>
}

type List = (method: string, params: object) => Promise<Asked>

/** Lists what a server declares. A list that it does not give is taken to be as it was: the server works without it. */
export async function takeInventory(
  list: List,
  { capabilities }: { readonly capabilities: Readonly<Record<string, unknown>> },
  known: Inventory | undefined,
): Promise<Inventory> {
  const take = async (listing: Listing, before: readonly Entry[] = []) =>
    capabilities[listing.kind] === undefined ? [] : takeList(list, listing).catch(() => before)
  const listed = {
    prompts: await take(promptListing, known?.listed.prompts),
    resources: await take(resourceListing, known?.listed.resources),
    templates: await take(templateListing, known?.listed.templates),
  }
  const names = (entries: readonly Entry[]) => entries.map(({ name }) => name)
  return {
    prompts: names(listed.prompts),
    resources: names(listed.resources),
    templates: names(listed.templates),
    listed,
  }
}

/** All pages of a list; nothing where the server has no such list. Throws where an answer is not good. */
async function takeList(list: List, listing: Listing): Promise<readonly Entry[]> {
  const { method, member } = listing
  const found: unknown[] = []
  let params: object | undefined = {}
  for (let page = 0; page < pageLimit && params !== undefined; page++) {
    const { message } = await list(method, params)
    if (isRecord(message?.error) && message.error.code === -32601) return []
    const result: unknown = message?.result
    if (!isRecord(result) || !Array.isArray(result[member])) throw new Error(`${method} gave no list`)
    found.push(...result[member])
    params = typeof result.nextCursor === 'string' ? { cursor: result.nextCursor } : undefined
  }
  return entriesIn(listing, found)
}
