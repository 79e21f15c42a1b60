import { hash } from 'node:crypto'
import type { Asked } from './asked.ts'
import { type Listing, promptListing, resourceListing, templateListing } from './listing.ts'
import { isRecord } from './message.ts'
import { pageLimit } from './tool-list.ts'

/** What a server has beside tools, by what its entries are called. */
export interface Inventory {
  readonly prompts: readonly string[]
  readonly resources: readonly string[]
  readonly templates: readonly string[]
  /** Hashes of what it lists of each kind, which differ where an agent could see a difference. */
  readonly digests: { readonly prompts: string; readonly resources: string }
}

type List = (method: string, params: object) => Promise<Asked>
interface Taken {
  readonly names: readonly string[]
  readonly digest: string
}

const nothing: Taken = { names: [], digest: '' }

/** Lists what a server declares. A list that it does not give is taken to be as it was: the server works without it. */
export async function takeInventory(
  list: List,
  { capabilities }: { readonly capabilities: Readonly<Record<string, unknown>> },
  known: Inventory | undefined,
): Promise<Inventory> {
  const take = async (listing: Listing) =>
    capabilities[listing.kind] === undefined ? nothing : takeList(list, listing).catch(() => undefined)
  const [prompts, resources, templates] = [
    await take(promptListing),
    await take(resourceListing),
    await take(templateListing),
  ]
  const isKnown = resources !== undefined && templates !== undefined
  return {
    prompts: prompts?.names ?? known?.prompts ?? [],
    resources: resources?.names ?? known?.resources ?? [],
    templates: templates?.names ?? known?.templates ?? [],
    digests: {
      prompts: prompts?.digest ?? known?.digests.prompts ?? '',
      resources: isKnown ? resources.digest + templates.digest : (known?.digests.resources ?? ''),
    },
  }
}

/** All pages of a list; nothing where the server has no such list. Throws where an answer is not good. */
async function takeList(list: List, { method, member, key }: Listing): Promise<Taken> {
  const found: unknown[] = []
  let params: object | undefined = {}
  for (let page = 0; page < pageLimit && params !== undefined; page++) {
    const { message } = await list(method, params)
    if (isRecord(message?.error) && message.error.code === -32601) return nothing
    const result: unknown = message?.result
    if (!isRecord(result) || !Array.isArray(result[member])) throw new Error(`${method} gave no list`)
    found.push(...result[member])
    params = typeof result.nextCursor === 'string' ? { cursor: result.nextCursor } : undefined
  }
  const names = found.flatMap((entry) => (isRecord(entry) && typeof entry[key] === 'string' ? entry[key] : []))
  return { names, digest: hash('sha256', JSON.stringify(found)) }
}
