import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCopies, type Original } from './copy.ts'
import { createEntry, type Edition, type Entry } from './entry.ts'
import { type Fields, fieldsOf, listOf, textOf, wordOf } from './fields.ts'
import { type Kind, lists } from './kind.ts'
import { readFiles } from './read.ts'

export interface Book {
  readonly name: string
  /** `YYYY-MM-DD`, empty where it is not known. */
  readonly published: string
}

/** All that can be looked up, and what was wrong with the rest. */
export interface Library {
  readonly entries: readonly Entry[]
  /** By the short name of the source. */
  readonly books: ReadonlyMap<string, Book>
  /** One line for each file that was skipped and each reference that leads nowhere. */
  readonly faults: readonly string[]
  /** Of the data, where its folder says so. */
  readonly version: string | undefined
}

export interface Folders {
  readonly data: string
  readonly homebrew?: string | undefined
}

interface Loose extends Original {
  readonly kind: Kind
  readonly homebrew: boolean
}

/** Reads the data and the homebrew. What is broken is left out and named; it never fails. */
export async function readLibrary({ data, homebrew }: Folders): Promise<Library> {
  const official = await readFiles(data)
  const own = homebrew === undefined ? { files: new Map<string, Fields>(), faults: [] } : await readFiles(homebrew)
  const loose = [...gather(own.files, true), ...gather(official.files, false)]
  const files = [...official.files.values(), ...own.files.values()]
  const templates = files.flatMap((file) => listOf(file.monsterTemplate).map(fieldsOf))
  const copies = createCopies(loose, templates)
  const books = new Map(files.flatMap(booksOf))
  const classes = classLists(files)
  const entries = loose.map((original) => {
    const raw = withInherited(copies.resolve(original))
    const source = textOf(raw.source)
    const edition = editionOf(raw, source, books.get(source))
    return createEntry({ ...original, source, edition, classes: classes(raw), raw })
  })
  const faults = new Set([...official.faults, ...own.faults, ...copies.faults])
  return { entries, books, faults: [...faults], version: await versionOf(data) }
}

function gather(files: ReadonlyMap<string, Fields>, homebrew: boolean): readonly Loose[] {
  return [...files.values()].flatMap((file) =>
    Object.entries(file).flatMap(([list, objects]) => {
      const kind = wordOf(lists, list)
      if (kind === undefined) return []
      const named = listOf(objects)
        .map(fieldsOf)
        .filter((raw) => textOf(raw.name) !== '')
      return named.map((raw) => ({ kind, raw, homebrew }))
    }),
  )
}

/** A magic variant, such as +1 armor, says most of what it is under `inherits`. */
function withInherited(raw: Fields): Fields {
  return raw.inherits === undefined ? raw : { ...fieldsOf(raw.inherits), ...raw }
}

function booksOf(file: Fields): readonly (readonly [string, Book])[] {
  const printed = listOf(file.book).map(fieldsOf)
  const homebrew = listOf(fieldsOf(file._meta).sources).map(fieldsOf)
  return [
    ...printed.map((book) => [textOf(book.source) || textOf(book.id), bookOf(book.name, book.published)] as const),
    ...homebrew.map((book) => [textOf(book.json), bookOf(book.full, book.dateReleased)] as const),
  ]
}

function bookOf(name: unknown, published: unknown): Book {
  return { name: textOf(name), published: textOf(published) }
}

/** The core books of the 2024 rules came out from September 2024 on. */
const newRules = '2024-09'

function editionOf(raw: Fields, source: string, book: Book | undefined): Edition | undefined {
  if (raw.edition === 'one' || ['XPHB', 'XDMG', 'XMM'].includes(source)) return '2024'
  if (raw.edition === 'classic') return '2014'
  if (book !== undefined && book.published !== '') return book.published >= newRules ? '2024' : '2014'
  if (Boolean(raw.srd) === Boolean(raw.srd52)) return undefined
  return raw.srd ? '2014' : '2024'
}

/** Which classes have a spell stands beside the spells, by source and name; in older data, in the spell. */
function classLists(files: readonly Fields[]): (raw: Fields) => readonly string[] {
  return (raw) => {
    if (raw.school === undefined || raw.level === undefined) return []
    const lists = files.map((file) => fieldsOf(fieldsOf(file[textOf(raw.source)])[textOf(raw.name)]))
    const all = [...lists, { class: fieldsOf(raw.classes).fromClassList }]
    const names = all.flatMap((list) => listOf(list.class)).map((known) => textOf(fieldsOf(known).name))
    return [...new Set(names.filter(Boolean))].sort()
  }
}

async function versionOf(folder: string): Promise<string | undefined> {
  try {
    const about: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    return textOf(fieldsOf(about).version) || undefined
  } catch {
    return undefined
  }
}
