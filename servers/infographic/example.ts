import type { Template } from './catalogue.ts'
import type { Shape } from './shape.ts'

interface Item {
  readonly label: string
  readonly desc?: string
  readonly icon?: string
  readonly value?: number
  readonly id?: string
  readonly children?: readonly Item[]
}

const steps: readonly Item[] = [
  { id: 'ask', label: 'Ask', desc: 'Hear what people need', icon: 'account-voice', value: 90 },
  { id: 'plan', label: 'Plan', desc: 'Choose the smallest step', icon: 'map-marker-path', value: 70 },
  { id: 'build', label: 'Build', desc: 'Make it and test it', icon: 'hammer-wrench', value: 55 },
  { id: 'learn', label: 'Learn', desc: 'Measure, then go on', icon: 'chart-line', value: 35 },
]

const sides: readonly Item[] = [
  { label: 'At home', desc: 'Quiet and flexible', icon: 'home', children: steps.slice(0, 3) },
  { label: 'On site', desc: 'Close to colleagues', icon: 'office-building', children: steps.slice(1, 4) },
]

const lanes: readonly Item[] = [
  { label: 'Reader', children: [{ id: 'r1', label: 'Ask', desc: 'Send a question', icon: 'send' }] },
  {
    label: 'Desk',
    children: [
      { id: 'd1', label: 'Look', desc: 'Search the shelf', icon: 'magnify' },
      { id: 'd2', label: 'Answer', desc: 'Send what was found', icon: 'reply' },
    ],
  },
]

const itemsOf: Readonly<Record<Shape, readonly Item[]>> = {
  list: steps,
  values: steps,
  pyramid: steps.slice(0, 3),
  four: steps,
  sides,
  groups: sides,
  tree: [{ label: 'Project', desc: 'All of it', icon: 'briefcase', children: sides }],
  lanes,
  graph: steps,
}

const relationsOf: Partial<Record<Shape, readonly string[]>> = {
  lanes: ['r1 -> d1', 'd1 -> d2'],
  graph: ['ask -> plan', 'plan -> build', 'build -> learn', 'ask -more-> learn'],
}

/** An infographic of this template in the library's syntax, with the fields that it shows. */
export function exampleOf({ name, shape, shows }: Template): string {
  const relations = relationsOf[shape]
  return [
    `infographic ${name}`,
    'data',
    '  title How we work',
    '  desc From a question to a result',
    '  items',
    ...itemsOf[shape].flatMap((item) => written(item, shows, 4)),
    ...(relations === undefined ? [] : ['  relations', ...relations.map((relation) => `    ${relation}`)]),
  ].join('\n')
}

function written(item: Item, shows: readonly string[], indent: number): readonly string[] {
  const { label, desc, icon, value, id, children } = item
  const fields = Object.entries({ label, id, desc, icon, illus: icon, value })
  const wanted = fields.filter(([key, held]) => held !== undefined && (key === 'id' || shows.includes(key)))
  const lines = wanted.map(([key, held], index) => `${index === 0 ? '- ' : '  '}${key} ${held}`)
  const below = children?.flatMap((child) => written(child, shows, 4)) ?? []
  const nested = below.length === 0 ? [] : ['  children', ...below]
  return [...lines, ...nested].map((line) => `${' '.repeat(indent)}${line}`)
}
