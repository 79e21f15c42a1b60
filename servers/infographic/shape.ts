/** What the data of a template looks like. */
export type Shape = 'list' | 'values' | 'pyramid' | 'four' | 'sides' | 'groups' | 'tree' | 'lanes' | 'graph'

/** What each shape needs, in words for who writes the data. */
export const shapeNeeds: Readonly<Record<Shape, string>> = {
  list: '2 to 8 items',
  values: '2 to 12 items, each with a number as value',
  pyramid: '3, 5 or 6 items',
  four: 'exactly 4 items',
  sides: 'exactly 2 items, the two sides, each with 2 to 5 children',
  groups: '2 to 4 items, each with 2 to 5 children',
  tree: 'one item, the root, with children that may have children',
  lanes: '2 to 4 items, the lanes, each with children that have an id, and relations between those ids',
  graph: '3 to 10 items, each with an id, and relations between those ids',
}

/** Of structures by name; the others take a plain list. */
const shapes: readonly (readonly [RegExp, Shape])[] = [
  [/^chart-/, 'values'],
  [/^list-pyramid$/, 'pyramid'],
  [/^quadrant$/, 'four'],
  [/^compare-(?:binary|hierarchy-left-right)/, 'sides'],
  [/^(?:compare-hierarchy-row|hierarchy-structure)$/, 'groups'],
  [/^hierarchy-(?:tree|mindmap)$/, 'tree'],
  [/^sequence-interaction$/, 'lanes'],
  [/^relation-dagre-flow$/, 'graph'],
]

export function shapeOf(structure: string): Shape {
  return shapes.find(([pattern]) => pattern.test(structure))?.[1] ?? 'list'
}

/** Whether the items of this shape say most of what they say in their children. */
export function needsChildren(shape: Shape): boolean {
  return shape === 'sides' || shape === 'groups' || shape === 'lanes'
}
