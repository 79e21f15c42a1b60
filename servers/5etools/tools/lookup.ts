import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import type { Filter } from '../catalogue.ts'
import { type Entry, summarise } from '../entry.ts'
import { textOf } from '../fields.ts'
import { type Kind, kinds } from '../kind.ts'
import { type Content, renderAll, type Shelf } from '../shelf.ts'
import { markdownTable } from '../text.ts'

export const query = z.string('give a name or a few words').max(500, 'at most 500 characters: a name or a few words')
export const source = z.string().max(50).describe('Short name of a book, as list_sources shows it')
export const edition = z.enum(['2014', '2024', 'any']).describe('Which rules; homebrew goes with both')
export const limit = wholeNumber(1, 50).describe('How many at most')
const kind = z.preprocess((given) => (typeof given === 'string' ? given.toLowerCase() : given), z.enum(kinds))

/** Rules text, as opposed to things. */
const ruleKinds: readonly Kind[] = ['condition', 'rule', 'action', 'status', 'disease', 'skill', 'sense', 'hazard']

export function addLookup(server: McpServer, shelf: Shelf): void {
  addSearch(server, shelf)
  addGetEntry(server, shelf)
  addGetRule(server, shelf)
}

function addSearch(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'search',
    title: 'Search everything',
    description:
      'Finds spells, monsters, items, rules and all else by name, else by words in the text. Read one with get_entry.',
    input: z.strictObject({
      query: query.describe('A name or words'),
      kind: kind.optional(),
      source: source.optional(),
      edition: edition.optional(),
      limit: limit.prefault(10),
    }),
  }
  addTool(server, tool, (given) => {
    const { catalogue } = shelf.content()
    const filter = { kinds: given.kind && [given.kind], source: given.source, edition: given.edition ?? shelf.edition }
    const found = catalogue.search(given.query, filter)
    if (found.length === 0)
      throw new ToolFailure(`nothing found for "${brief(given.query)}"${hint(shelf.content(), given.query, filter)}`)
    return listing(found, given.limit)
  })
}

/** Entries as a table, and how many more there are. */
function listing(found: readonly Entry[], limit: number): string {
  const rows = found.slice(0, limit).map((entry) => {
    const { name, kind, source, raw, edition } = entry
    return [name, kind, source, textOf(raw.page), edition ?? '', summarise(entry)]
  })
  return markdownTable(['Name', 'Kind', 'Source', 'Page', 'Rules', 'Summary'], rows) + more(found.length, limit)
}

export function more(found: number, limit: number): string {
  return found > limit ? `\n\n${limit} of ${found}; say more precisely what you look for, or raise limit.` : ''
}

function brief(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 80)}…`
}

function hint({ catalogue }: Content, name: string, filter: Filter): string {
  const near = catalogue.nearest(name.slice(0, 100), filter)
  return near.length > 0 ? `; did you mean ${near.map((one) => `"${one}"`).join(', ')}?` : ''
}

function addGetEntry(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'get_entry',
    title: 'Read an entry',
    description: 'The whole text of one spell, monster, item, rule or other entry, with its source.',
    input: z.strictObject({
      kind,
      name: query.describe('The exact name; case, accents and apostrophes do not matter'),
      source: source.optional(),
      edition: edition.optional(),
      format: z.enum(['markdown', 'json']).default('markdown').describe("json is 5etools' own object"),
    }),
  }
  addTool(server, tool, (given) => {
    const content = shelf.content()
    const filter = { kinds: [given.kind], source: given.source, edition: given.edition ?? shelf.edition }
    const printings = content.catalogue.named(given.name, filter)
    const [first] = printings
    if (first === undefined) {
      const where = given.source === undefined ? '' : ` in ${brief(given.source)}`
      throw new ToolFailure(`no ${given.kind} "${brief(given.name)}"${where}${hint(content, given.name, filter)}`)
    }
    const chosen = printings.filter((entry) => entry.source === first.source)
    if (given.format === 'json') return JSON.stringify(chosen.length === 1 ? first.raw : chosen.map(({ raw }) => raw))
    return renderAll(chosen, content.library) + otherSources(printings, first)
  })
}

function otherSources(printings: readonly Entry[], shown: Entry): string {
  const others = new Set(printings.map((entry) => entry.source).filter((name) => name !== shown.source))
  return others.size > 0 ? `\n\nAlso in ${[...others].join(', ')}: name the source to read it there.` : ''
}

function addGetRule(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'get_rule',
    title: 'Look up a rule',
    description: 'The text of a condition, rule or action by its name, or the one that speaks of the topic most.',
    input: z.strictObject({
      topic: query.describe('For example: grappled, cover, opportunity attack'),
      edition: edition.optional(),
    }),
  }
  addTool(server, tool, ({ topic, edition: wanted }) => {
    const content = shelf.content()
    const filter = { kinds: ruleKinds, edition: wanted ?? shelf.edition }
    const [best, ...others] = content.catalogue.search(topic, filter)
    if (best === undefined) throw new ToolFailure(`no rule about "${brief(topic)}"${hint(content, topic, filter)}`)
    const rest = others.slice(0, 8).map((entry) => `${entry.name} (${entry.kind}, ${entry.source})`)
    return renderAll([best], content.library) + (rest.length > 0 ? `\n\nSee also: ${rest.join('; ')}.` : '')
  })
}
