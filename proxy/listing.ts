import type { Kind } from './grant.ts'

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
