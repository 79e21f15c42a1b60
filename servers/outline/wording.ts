import type { Document } from './answers.ts'

/** Outline takes a document without a title. */
export function titleOf({ title }: Pick<Document, 'title'>): string {
  return oneLine(title) || 'Untitled'
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

/** What a reader must know of a document that is not simply published. */
export function stateOf({ deletedAt, archivedAt, publishedAt }: Document): readonly string[] {
  if (deletedAt) return [`deleted ${deletedAt}, in the trash`]
  if (archivedAt) return [`archived ${archivedAt}`]
  return publishedAt ? [] : ['a draft, not published']
}

/** `total` is unknown in older versions of Outline. */
export interface Range {
  readonly offset: number
  readonly limit: number
  readonly found: number
  readonly total: number | undefined
}

/** `11–20 of 57; for more: offset=20`. */
export function describeRange({ offset, limit, found, total }: Range): string {
  const all = total === undefined ? '' : ` of ${total}`
  const hasMore = total === undefined ? found === limit : offset + found < total
  return `${offset + 1}–${offset + found}${all}${hasMore ? `; for more: offset=${offset + found}` : ''}`
}
