import { z } from 'zod'
import { wholeNumber, yesNo } from '../../kit/input.ts'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import type { Entry } from '../entry.ts'
import { fold, textOf } from '../fields.ts'
import { itemFacts } from '../item.ts'
import type { Kind } from '../kind.ts'
import { challengeOf, monsterFacts } from '../monster.ts'
import type { Shelf } from '../shelf.ts'
import { schools, spellFacts } from '../spell.ts'
import { markdownTable } from '../text.ts'
import { edition, limit, more, query, source } from './lookup.ts'

const word = z.string().max(60)
const common = {
  query: query.describe('Words of the name or text').optional(),
  source: source.optional(),
  edition: edition.optional(),
  limit: limit.prefault(20),
}

const challenge = z.preprocess(
  (given) => (typeof given === 'string' || typeof given === 'number' ? (challengeOf(String(given)) ?? given) : given),
  z.number('give a challenge rating, such as 5, "1/4" or 0.25').min(0).max(40),
)

export function addChoices(server: McpServer, shelf: Shelf): void {
  addSpells(server, shelf)
  addMonsters(server, shelf)
  addItems(server, shelf)
}

interface Asked {
  readonly query?: string | undefined
  readonly source?: string | undefined
  readonly edition?: Shelf['edition'] | undefined
  readonly limit: number
}

interface Columns {
  readonly kind: Kind
  readonly labels: readonly string[]
  readonly row: (entry: Entry) => readonly string[]
  /** Order of what is found without a query. */
  readonly order: (entry: Entry) => number
}

function choose(
  shelf: Shelf,
  asked: Asked,
  fits: (entry: Entry) => boolean,
  { kind, labels, row, order }: Columns,
): string {
  const { catalogue } = shelf.content()
  const filter = { kinds: [kind], source: asked.source, edition: asked.edition ?? shelf.edition }
  const among =
    asked.query === undefined
      ? catalogue.all(filter).toSorted((a, b) => order(a) - order(b))
      : catalogue.search(asked.query, filter)
  const found = among.filter(fits)
  if (found.length === 0) throw new ToolFailure(`no ${kind} is all of that; leave something out`)
  const rows = found.slice(0, asked.limit).map((entry) => [entry.name, ...row(entry), entry.source])
  return markdownTable(['Name', ...labels, 'Source'], rows) + more(found.length, asked.limit)
}

/** The school for its letter or (the beginning of) its name. */
function schoolOf(given: string): string {
  const wanted = fold(given)
  const names = Object.entries(schools)
  const found = names.find(
    ([letter, name]) => letter.toLowerCase() === wanted || (wanted.length > 2 && name.startsWith(wanted)),
  )
  if (found !== undefined) return found[1]
  throw new ToolFailure(
    `no school "${given}"; there are ${names.map(([letter, name]) => `${name} (${letter})`).join(', ')}`,
  )
}

function addSpells(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'search_spells',
    title: 'Choose spells',
    description: 'Spells by level, school, class and more, as a table. What is not given does not matter.',
    input: z.strictObject({
      level: wholeNumber(0, 9).describe('0 is a cantrip').optional(),
      school: word.describe('Name or letter; V is evocation, E enchantment').optional(),
      class: word.describe('For example wizard').optional(),
      ritual: yesNo.optional(),
      concentration: yesNo.optional(),
      ...common,
    }),
  }
  const columns: Columns = {
    kind: 'spell',
    labels: ['Level', 'School', 'Ritual', 'Concentration', 'Classes'],
    row: ({ raw, classes }) => {
      const { level, school, ritual, concentration } = spellFacts(raw)
      return [String(level), school, ritual ? 'yes' : '', concentration ? 'yes' : '', classes.join(', ')]
    },
    order: ({ raw }) => spellFacts(raw).level,
  }
  addTool(server, tool, (asked) => {
    const school = asked.school === undefined ? undefined : schoolOf(asked.school)
    const fits = ({ raw, classes }: Entry) => {
      const facts = spellFacts(raw)
      if (school !== undefined && facts.school !== school) return false
      if (asked.class !== undefined && !classes.some((name) => fold(name) === fold(asked.class ?? ''))) return false
      return (
        same(asked.level, facts.level) &&
        same(asked.ritual, facts.ritual) &&
        same(asked.concentration, facts.concentration)
      )
    }
    return choose(shelf, asked, fits, columns)
  })
}

/** Whether a wish, if there is one, is met. */
function same<Value>(wished: Value | undefined, found: Value): boolean {
  return wished === undefined || wished === found
}

function holds(wished: string | undefined, found: string | readonly string[]): boolean {
  if (wished === undefined) return true
  return typeof found === 'string'
    ? fold(found).includes(fold(wished))
    : found.some((one) => fold(one) === fold(wished))
}

function addMonsters(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'search_monsters',
    title: 'Choose monsters',
    description:
      'Monsters by challenge rating, type, size and environment, as a table. What is not given does not matter.',
    input: z.strictObject({
      cr_min: challenge.describe('Such as 5, "1/4" or 0.25').optional(),
      cr_max: challenge.optional(),
      type: word.describe('For example dragon, undead').optional(),
      size: word.describe('tiny, small, medium, large, huge or gargantuan').optional(),
      environment: word.describe('For example forest').optional(),
      ...common,
    }),
  }
  const columns: Columns = {
    kind: 'monster',
    labels: ['CR', 'Size', 'Type', 'Environment'],
    row: ({ raw }) => {
      const { crText, sizes, type, environments } = monsterFacts(raw)
      return [crText, sizes.join('/'), type, environments.join(', ')]
    },
    order: ({ raw }) => monsterFacts(raw).cr ?? -1,
  }
  addTool(server, tool, (asked) => {
    const { cr_min: least = -1, cr_max: most = Number.POSITIVE_INFINITY } = asked
    if (least > most) throw new ToolFailure(`cr_min ${least} is more than cr_max ${most}`)
    const rated = asked.cr_min !== undefined || asked.cr_max !== undefined
    const fits = ({ raw }: Entry) => {
      const { cr, type, sizes, environments } = monsterFacts(raw)
      if (rated && (cr === undefined || cr < least || cr > most)) return false
      return holds(asked.type, type) && holds(asked.size, sizes) && holds(asked.environment, environments)
    }
    return choose(shelf, asked, fits, columns)
  })
}

function addItems(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'search_items',
    title: 'Choose items',
    description: 'Gear and magic items by rarity, type and attunement, as a table. What is not given does not matter.',
    input: z.strictObject({
      rarity: word.describe('none, common, uncommon, rare, very rare, legendary or artifact').optional(),
      type: word.describe('For example weapon, ring, wondrous').optional(),
      attunement: yesNo.optional(),
      ...common,
    }),
  }
  const columns: Columns = {
    kind: 'item',
    labels: ['Type', 'Rarity', 'Attunement', 'Page'],
    row: ({ raw }) => {
      const { type, rarity, attunement } = itemFacts(raw)
      return [type, rarity, attunement ? 'yes' : '', textOf(raw.page)]
    },
    order: () => 0,
  }
  addTool(server, tool, (asked) => {
    const fits = ({ raw }: Entry) => {
      const { type, rarity, attunement } = itemFacts(raw)
      return holds(asked.rarity, [rarity]) && holds(asked.type, type) && same(asked.attunement, attunement)
    }
    return choose(shelf, asked, fits, columns)
  })
}
