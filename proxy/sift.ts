import type { Grant } from '#manifests/table.ts'
import { allows } from './grant.ts'
import { listings } from './listing.ts'
import { isRecord } from './message.ts'
import { elements, type Member, members, replace, splice } from './splice.ts'

/** By the list's name in a result. */
const lists = new Map([...listings.values()].map((listing) => [listing.member, listing]))

/**
 * A message of an upstream without what a grant leaves out of its lists; unchanged where nothing is left out. Lists are told by their
 * shape, so that a list that a stream replays is sifted too.
 */
export function sift(grant: Grant, text: string): string {
  const parsed: unknown = JSON.parse(text)
  if (Array.isArray(parsed))
    return `[${elements(text)
      .map((element) => sift(grant, element))
      .join(',')}]`
  const result =
    isRecord(parsed) && isRecord(parsed.result) ? members(text).find(({ key }) => key === 'result') : undefined
  if (result === undefined) return text
  const edits = members(text, result.at).flatMap((member) => {
    const sifted = siftList(grant, text, member)
    return sifted === undefined ? [] : [replace(member, sifted)]
  })
  return splice(text, edits)
}

function siftList(grant: Grant, text: string, { key, at, to }: Member): string | undefined {
  const list = lists.get(key)
  const value: unknown = list && JSON.parse(text.slice(at, to))
  if (list === undefined || !Array.isArray(value)) return undefined
  const kept = elements(text, at).filter((_, i) => {
    const entry: unknown = value[i]
    const name = isRecord(entry) ? entry[list.key] : undefined
    return typeof name === 'string' && allows(grant, list.kind, name)
  })
  return kept.length === value.length ? undefined : `[${kept.join(',')}]`
}
