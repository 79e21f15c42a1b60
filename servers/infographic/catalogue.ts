import { type Shape, shapeOf } from './shape.ts'

export interface Template {
  readonly name: string
  /** The first word of its name: list, sequence, compare, hierarchy, relation, chart. */
  readonly family: string
  readonly shape: Shape
  /** Which fields of an item it shows. */
  readonly shows: readonly string[]
}

export interface Described {
  readonly name: string
  readonly structure: string
  readonly shows: readonly string[]
}

/** The templates that the library has, in the order of their names. */
export function createCatalogue(described: readonly Described[]): readonly Template[] {
  const templates = described.map(({ name, structure, shows }) => {
    const shape = shapeOf(structure)
    return { name, family: name.split('-', 1)[0] ?? name, shape, shows: fieldsOf(shape, shows) }
  })
  return templates.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function fieldsOf(shape: Shape, shows: readonly string[]): readonly string[] {
  return [...new Set(['label', ...shows, ...(shape === 'values' ? ['value'] : [])])]
}

/** The five names most alike, best first. */
export function nearestNames(wanted: string, templates: readonly Template[]): readonly string[] {
  const scored = templates.map(({ name }) => ({ name, score: likeness(wanted.toLowerCase(), name) }))
  return scored
    .sort((a, b) => b.score - a.score)
    .slice(0, 5)
    .map(({ name }) => name)
}

/** Of two texts: 0 to 1, by the pairs of letters that they share (Dice). */
function likeness(one: string, other: string): number {
  const [a, b] = [pairsOf(one), pairsOf(other)]
  const shared = a.intersection(b).size
  return (2 * shared) / Math.max(1, a.size + b.size)
}

function pairsOf(text: string): Set<string> {
  return new Set(Array.from({ length: Math.max(0, text.length - 1) }, (_, i) => text.slice(i, i + 2)))
}
