import { z } from 'zod'

const most = 1e15
const longest = 200
const deepest = 20

/** A finite number, also where it comes as text; neither a boolean nor a blank is one. */
export const number = z.preprocess(
  (value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value),
  z
    .number('give a number')
    .refine(
      (value) => Math.abs(value) <= most,
      'the number is too large for a chart; give it in thousands or millions',
    ),
)

/** A label; years and the like may come as numbers. */
export const label = z.preprocess(
  (value) => (typeof value === 'number' ? String(value) : value),
  z
    .string('give a text')
    .refine((text) => text.length <= longest, `the text has more than ${longest} characters; shorten it`)
    .transform(printable),
)

export const flag = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean('give true or false'),
)

export const colour = z
  .string()
  .refine(
    (text) =>
      /^(?:[a-z]{1,30}|#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})|(?:rgb|hsl)a?\([\d\s.,%/]{1,60}\))$/i.test(text),
    'give a colour: a name, #rrggbb or rgb(…)',
  )

/** A list with something in it, also where it comes as the text of one. */
export function list<Item extends z.ZodType>(item: Item) {
  return z.preprocess(
    readJson,
    z.array(item, 'give a list').refine((items) => items.length > 0, 'give at least one'),
  )
}

/** An object, also where it comes as the text of one. */
export function record<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.preprocess(readJson, z.object(shape, 'give an object'))
}

function readJson(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

/** Without control characters and halves of characters, which no font has. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.toWellFormed().replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
}

/** A node and those below it. */
export interface Tree {
  readonly name: string
  readonly description?: string | undefined
  readonly value?: number | undefined
  readonly children: readonly Tree[]
}

const children = z.array(z.unknown(), 'give a list').default([]).describe('Nodes like this one')

/** A tree of at most 20 levels, read level by level: a deeper one must not cost the stack. */
function treeOf<Shape extends z.ZodType<Omit<Tree, 'children'> & { readonly children: readonly unknown[] }>>(
  node: Shape,
) {
  const read = (value: unknown, context: z.core.$RefinementCtx, path: readonly PropertyKey[]): Tree => {
    const parsed = node.safeParse(value)
    const below = { context, path: [...path, 'children'] }
    if (parsed.success) return { ...parsed.data, children: descend(parsed.data.children, below) }
    for (const issue of parsed.error.issues)
      context.issues.push({ code: 'custom', message: issue.message, path: [...path, ...issue.path], input: value })
    return { name: '', children: [] }
  }
  const descend = (
    nodes: readonly unknown[],
    { context, path }: { context: z.core.$RefinementCtx; path: readonly PropertyKey[] },
  ): readonly Tree[] => {
    if (nodes.length === 0) return []
    if (path.length / 2 < deepest) return nodes.map((child, index) => read(child, context, [...path, index]))
    context.issues.push({ code: 'custom', message: `the tree has more than ${deepest} levels`, path: [], input: nodes })
    return []
  }
  return z.preprocess(
    readJson,
    node.transform(
      (root, context): Tree => ({ ...root, children: descend(root.children, { context, path: ['children'] }) }),
    ),
  )
}

export const tree = treeOf(z.object({ name: label, children }, 'give an object'))
export const staffTree = treeOf(z.object({ name: label, description: maybe(label), children }, 'give an object'))
export const sizedTree = treeOf(z.object({ name: label, value: maybe(number), children }, 'give an object'))

const side = (usual: number) =>
  number.refine((value) => value >= 100 && value <= 2000, 'give 100 to 2000').default(usual)

export const size = { width: side(600), height: side(400) }
export const mapSize = { width: side(1600), height: side(1000) }
export const theme = z.enum(['default', 'academy', 'dark']).default('default')
export const title = label.default('')
export const axes = { axisXTitle: label.default(''), axisYTitle: label.default('') }
export const texture = z.enum(['default', 'rough']).default('default')

export const paint = { backgroundColor: colour.optional(), palette: list(colour).optional(), texture }
export const startAtZero = flag.default(false)
export const lineWidth = number.refine((value) => value > 0 && value <= 50, 'give 0 to 50').optional()

/** How a chart looks; each kind has its own keys for that. */
export function style<Keys extends z.ZodType>(keys: Keys) {
  return z.preprocess(readJson, keys)
}

/** What need not be given; null says that as well. */
export function maybe<Field extends z.ZodType>(field: Field) {
  return z.preprocess((value) => value ?? undefined, field.optional())
}
