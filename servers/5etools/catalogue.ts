import { DatabaseSync } from 'node:sqlite'
import { type Edition, type Entry, wordsOf } from './entry.ts'
import { fold } from './fields.ts'
import { type Kind, kinds } from './kind.ts'

/** What narrows a search; what is absent does not. */
export interface Filter {
  readonly kinds?: readonly Kind[] | undefined
  readonly source?: string | undefined
  readonly edition?: Edition | 'any' | undefined
}

/** A searchable set of entries. */
export interface Catalogue {
  /** Best first: the name itself, names that begin so, names that hold it, then texts with all words, or with some. */
  readonly search: (query: string, filter: Filter) => readonly Entry[]
  /** Those of exactly this name, preferred printing first: homebrew, then the newer rules. */
  readonly named: (name: string, filter: Filter) => readonly Entry[]
  /** Up to five names of entries that are spelled most alike. */
  readonly nearest: (name: string, filter: Filter) => readonly string[]
  /** Those that the filter lets through, by name. */
  readonly all: (filter: Filter) => readonly Entry[]
  readonly close: () => void
}

export function openCatalogue(entries: readonly Entry[]): Catalogue {
  const sorted = entries.toSorted((a, b) => a.folded.localeCompare(b.folded) || preference(a) - preference(b))
  const texts = openTexts(sorted)
  const all = (filter: Filter) => sorted.filter((entry) => admits(filter, entry))
  const search = (query: string, filter: Filter) => {
    const name = fold(query)
    const near = sorted.filter((entry) => entry.folded.includes(name)).toSorted((a, b) => rank(a, name) - rank(b, name))
    const far = texts.find(name).flatMap((index) => sorted[index] ?? [])
    return [...new Set([...(name === '' ? [] : near), ...far])].filter((entry) => admits(filter, entry))
  }
  const named = (name: string, filter: Filter) => {
    const wanted = fold(name)
    return all(filter).filter((entry) => entry.folded === wanted || fold(String(entry.raw.name)) === wanted)
  }
  const nearest = (name: string, filter: Filter) => {
    const wanted = pairs(fold(name))
    const names = new Map(all(filter).map((entry) => [entry.name, likeness(pairs(entry.folded), wanted)]))
    const ranked = [...names].filter(([, like]) => like > 0.2).toSorted(([, a], [, b]) => b - a)
    return ranked.slice(0, 5).map(([near]) => near)
  }
  return { search, named, nearest, all, close: texts.close }
}

function admits({ kinds: wanted, source, edition = 'any' }: Filter, entry: Entry): boolean {
  if (wanted !== undefined && !wanted.includes(entry.kind)) return false
  if (source !== undefined && fold(source) !== fold(entry.source)) return false
  return edition === 'any' || entry.edition === undefined || entry.edition === edition
}

function rank(entry: Entry, name: string): number {
  const place = entry.folded === name ? 0 : entry.folded.startsWith(name) ? 1 : 2
  return place * 100 + kinds.indexOf(entry.kind)
}

function preference({ homebrew, edition }: Entry): number {
  if (homebrew) return 0
  return edition === '2024' ? 1 : 2
}

interface Texts {
  /** Indexes of the entries whose text matches, best first. */
  readonly find: (query: string) => readonly number[]
  readonly close: () => void
}

function openTexts(entries: readonly Entry[]): Texts {
  const database = new DatabaseSync(':memory:')
  database.exec(
    "CREATE VIRTUAL TABLE text USING fts5(name, body, content='', tokenize='unicode61 remove_diacritics 2')",
  )
  database.exec('BEGIN')
  const insert = database.prepare('INSERT INTO text(rowid, name, body) VALUES (?, ?, ?)')
  for (const [index, entry] of entries.entries()) insert.run(index + 1, entry.folded, wordsOf(entry))
  database.exec('COMMIT')
  const match = database.prepare('SELECT rowid FROM text WHERE text MATCH ? ORDER BY bm25(text, 10, 1) LIMIT 1000')
  const run = (terms: readonly string[], operator: string) =>
    match.all(terms.join(operator)).map((row) => Number(row.rowid) - 1)
  const find = (query: string) => {
    // Quoted, because AND, NEAR, brackets and stars are commands otherwise.
    const terms = (query.match(/[\p{L}\p{N}]+/gu) ?? []).slice(0, 12).map((term) => `"${term}"*`)
    if (terms.length === 0) return []
    const every = run(terms, ' AND ')
    return every.length > 0 ? every : run(terms, ' OR ')
  }
  return { find, close: () => database.close() }
}

function pairs(name: string): ReadonlySet<string> {
  return new Set(Array.from({ length: name.length + 1 }, (_, index) => ` ${name} `.slice(index, index + 2)))
}

/** Twice what two names share of their pairs of letters, of all: 0 to 1. */
function likeness(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  return (2 * one.intersection(other).size) / (one.size + other.size)
}
