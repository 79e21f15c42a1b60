import { hash } from 'node:crypto'
import type { Kind } from './grant.ts'
import { isRecord } from './message.ts'

/** A list that a server may have: how it is asked for, where its entries stand in the result, what names one, whose grant covers it. */
export interface Listing {
  readonly method: string
  readonly member: string
  readonly key: string
  readonly kind: Kind
}

export const toolListing: Listing = { method: 'tools/list', member: 'tools', key: 'name', kind: 'tools' }
export const promptListing: Listing = { method: 'prompts/list', member: 'prompts', key: 'name', kind: 'prompts' }
export const resourceListing: Listing = {
  method: 'resources/list',
  member: 'resources',
  key: 'uri',
  kind: 'resources',
}
export const templateListing: Listing = {
  method: 'resources/templates/list',
  member: 'resourceTemplates',
  key: 'uriTemplate',
  kind: 'resources',
}

/** By method. */
export const listings: ReadonlyMap<string, Listing> = new Map(
  [toolListing, promptListing, resourceListing, templateListing].map((listing) => [listing.method, listing]),
)

/** What stands in a list, and a hash that is another one where who sees it could see a difference. */
export interface Entry {
  readonly name: string
  readonly digest: string
}

/** Those of the entries that are called something. */
export function entriesIn({ key }: Listing, found: readonly unknown[]): readonly Entry[] {
  return found.flatMap((entry) => {
    const name = isRecord(entry) ? entry[key] : undefined
    return typeof name === 'string' ? { name, digest: hash('sha256', JSON.stringify(entry)) } : []
  })
}
