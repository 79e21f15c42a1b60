import { type Fields, fieldsOf, fold, isFields, listOf, textOf, textsOf } from './fields.ts'
import { itemFacts, renderItem } from './item.ts'
import type { Kind } from './kind.ts'
import { bullets, monsterFacts, renderMonster, speed } from './monster.ts'
import { renderSpell, spellFacts } from './spell.ts'
import { abilities, renderTags, signed } from './tag.ts'
import { renderEntries, renderLine } from './text.ts'

/** Rules of 2014 or of 2024. */
export type Edition = '2014' | '2024'

/** One thing that can be looked up. */
export interface Entry {
  readonly kind: Kind
  /** Unique enough for people: `Dwarf (Hill)`, `Rage (Barbarian 1)`. */
  readonly name: string
  /** The name as it is compared. */
  readonly folded: string
  readonly source: string
  /** Absent for what goes with both, as homebrew does. */
  readonly edition: Edition | undefined
  readonly homebrew: boolean
  /** Of a spell: the classes that have it, in order. */
  readonly classes: readonly string[]
  /** 5etools' own object, with its copies resolved. */
  readonly raw: Fields
}

/** The name that tells features and subraces of the same name apart. */
export function nameOf(kind: Kind, raw: Fields): string {
  const name = textOf(raw.name)
  if (kind === 'race' && raw.raceName !== undefined) return `${textOf(raw.raceName)} (${name})`
  if (kind === 'subclass') return `${name} (${textOf(raw.className)})`
  if (kind !== 'feature') return name
  return `${name} (${[raw.subclassShortName ?? raw.className, raw.level].map(textOf).join(' ')})`
}

/** An entry as Markdown: name, what it says, where it stands. */
export function renderEntry(entry: Entry, bookName: string): string {
  return [`## ${entry.name}`, renderBody(entry), `*${cite(entry, bookName)}*`].filter(Boolean).join('\n\n')
}

function cite({ kind, source, raw, edition, homebrew }: Entry, bookName: string): string {
  const page = raw.page === undefined ? '' : `, page ${textOf(raw.page)}`
  const book = bookName === source || bookName === '' ? source : `${bookName} (${source})`
  const notes = [edition === undefined ? '' : `${edition} rules`, homebrew ? 'homebrew' : ''].filter(Boolean)
  return `${kind} from ${book || 'an unnamed source'}${page}${notes.length > 0 ? `; ${notes.join(', ')}` : ''}`
}

function renderBody({ kind, raw, classes }: Entry): string {
  switch (kind) {
    case 'spell':
      return renderSpell(raw, classes)
    case 'monster':
      return renderMonster(raw)
    case 'item':
      return renderItem(raw)
    case 'table':
      return renderEntries({ ...raw, type: 'table', caption: undefined })
    case 'class':
      return renderClass(raw)
    case 'race':
      return [renderRace(raw), renderEntries(raw.entries)].filter(Boolean).join('\n\n')
    default:
      return renderEntries(raw.entries)
  }
}

function renderClass(raw: Fields): string {
  const features = listOf(raw.classFeatures).map((feature) =>
    textOf(isFields(feature) ? feature.classFeature : feature).split('|'),
  )
  const lines = features.map(([name = '', , , level = '']) => `- level ${level}: ${name}`)
  const hd = fieldsOf(raw.hd)
  const facts = bullets([
    ['Hit die', hd.faces === undefined ? '' : `d${textOf(hd.faces)}`],
    [
      'Saving throws',
      textsOf(raw.proficiency)
        .map((code) => abilities[code] ?? code)
        .join(', '),
    ],
  ])
  return [facts, lines.join('\n'), renderEntries(raw.entries)].filter(Boolean).join('\n\n')
}

function renderRace(raw: Fields): string {
  const scores = textOf(raw.ability) || bonuses(raw.ability)
  return bullets([
    ['Ability scores', scores],
    ['Size', monsterFacts(raw).sizes.join(' or ')],
    ['Speed', speed(raw.speed)],
  ])
}

function bonuses(ability: unknown): string {
  const sets = listOf(ability).map(fieldsOf)
  return sets
    .map((set) =>
      Object.entries(set)
        .filter(([, bonus]) => typeof bonus === 'number')
        .map(([code, bonus]) => `${abilities[code] ?? code} ${signed(textOf(bonus))}`)
        .join(', '),
    )
    .filter(Boolean)
    .join('; or ')
}

const summaryLength = 120

/** One line of what it is. */
export function summarise({ kind, raw }: Entry): string {
  if (kind === 'monster') {
    const { crText, sizes, type } = monsterFacts(raw)
    return `CR ${crText}, ${sizes.join('/')} ${type}`
  }
  if (kind === 'item') {
    const { type, rarity } = itemFacts(raw)
    return rarity === 'none' ? type : `${type}, ${rarity}`
  }
  const text = shorten(renderLine(raw.entries))
  if (kind !== 'spell') return text
  const { level, school } = spellFacts(raw)
  return `${level === 0 ? `${school} cantrip` : `level ${level} ${school}`}: ${text}`
}

function shorten(text: string): string {
  return text.length <= summaryLength ? text : `${text.slice(0, summaryLength).replace(/\s+\S*$/, '')} …`
}

/** Every word of it that a search should find. */
export function wordsOf({ raw }: Entry): string {
  const told = [
    'entries',
    'entriesHigherLevel',
    'trait',
    'action',
    'bonus',
    'reaction',
    'legendary',
    'spellcasting',
    'rows',
    'alias',
    'environment',
  ]
  return renderTags(told.flatMap((field) => strings(raw[field], 0)).join(' ')).slice(0, 20_000)
}

function strings(value: unknown, depth: number): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null || depth > 60) return []
  return Object.entries(value).flatMap(([name, part]) => (name === 'type' ? [] : strings(part, depth + 1)))
}

export function createEntry(given: Omit<Entry, 'name' | 'folded'>): Entry {
  const name = nameOf(given.kind, given.raw)
  return { ...given, name, folded: fold(name) }
}
