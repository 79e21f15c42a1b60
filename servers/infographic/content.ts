import { ToolFailure } from '../kit/tool.ts'
import { contentSchema, type GivenContent, type Item } from './content-schema.ts'
import type { Icons } from './icons.ts'

const maxItems = 200

/** The data of an infographic as it is drawn. */
export interface Content {
  readonly data: Readonly<Record<string, unknown>>
  readonly items: readonly Item[]
  /** Every text that a reader is to see. */
  readonly texts: readonly string[]
  /** The icons that were asked for and are not in the set. */
  readonly lost: readonly string[]
}

/**
 * Reads data: its items, which may be under the name that is usual in the template's family, with drawings for icons.
 *
 * @throws ToolFailure that names every wrong field.
 */
export function readContent(given: unknown, family: string, icons: Icons): Content {
  const { data, error } = contentSchema.safeParse(given)
  if (error !== undefined) throw new ToolFailure(error.issues.slice(0, 8).map(explain).join('\n'))
  const { lists, sequences, compares, nodes, values, root, order, illus = {}, ...rest } = data
  const items = itemsOf(data, family)
  const all = items.flatMap(withChildren)
  if (all.length > maxItems)
    throw new ToolFailure(`there are ${all.length} items, more than ${maxItems}; leave some out`)
  const texts = [rest.title, rest.desc, ...all.flatMap(({ label, desc }) => [label, desc])]
  const pictures = new Set([...all.flatMap(({ icon, illus: large }) => [icon, large]), ...Object.values(illus)])
  const drawn = new Map([...pictures].map((wanted) => [wanted, drawingOf(wanted, icons)]))
  return {
    data: {
      ...rest,
      illus: Object.fromEntries(Object.entries(illus).map(([name, wanted]) => [name, drawn.get(wanted)])),
      items: items.map((item) => withDrawings(item, drawn)),
    },
    items,
    texts: texts.filter((text) => text !== undefined).filter((text) => text.trim() !== ''),
    lost: [...drawn].flatMap(([wanted, drawing]) => (wanted && drawing === undefined ? nameOf(wanted) : [])),
  }
}

/** The list that the library would take. */
function itemsOf(data: GivenContent, family: string): readonly Item[] {
  const { items, lists, sequences, compares, nodes, values, root, order } = data
  const usual = { list: lists, sequence: sequences, compare: compares, relation: nodes, chart: values, hierarchy: root }
  const own = Object.entries(usual).find(([name]) => name === family)?.[1]
  const found = [items, own, lists, sequences, compares, nodes, values, root].find((list) => list?.length) ?? []
  return found === sequences && order === 'desc' ? found.toReversed() : found
}

function withChildren(item: Item): readonly Item[] {
  return [item, ...(item.children ?? []).flatMap(withChildren)]
}

function withDrawings(item: Item, drawn: ReadonlyMap<unknown, string | undefined>): Item {
  const children = item.children?.map((child) => withDrawings(child, drawn))
  return { ...item, icon: drawn.get(item.icon), illus: drawn.get(item.illus), children }
}

/** Never what was given: the library would fetch an address, and search a server for a name that it does not know. */
function drawingOf(wanted: unknown, icons: Icons): string | undefined {
  return typeof wanted === 'string' ? icons.find(wanted) : undefined
}

function nameOf(wanted: unknown): string {
  return typeof wanted === 'string' ? wanted.slice(0, 60) : 'an object'
}

function explain({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return `data${place}: ${message}`
}
