import { createHash } from 'node:crypto'

/** Counted up when what is hashed changes its form, so that equal hashes always mean equal things. */
const schema = 1

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

/** 64 hex digits over canonical JSON: keys sorted, what is undefined left out. */
export function contentHash(of: string, value: Json): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical({ schema, of, value })))
    .digest('hex')
}

function canonical(value: Json): Json {
  if (value === null || typeof value !== 'object') return value
  if (isList(value)) return value.map(canonical)
  const entries = Object.entries(value).filter((entry): entry is [string, Json] => entry[1] !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, canonical(inner)]))
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
