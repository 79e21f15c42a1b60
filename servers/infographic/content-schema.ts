import { z } from 'zod'

const words = (most: number) =>
  z
    .union([z.string(), z.number()], 'give text')
    .transform((given) => String(given).toWellFormed())
    .pipe(z.string().max(most, `it has more than ${most} characters; shorten it`))
    .optional()

const value = z
  .union([z.number(), z.string().regex(/^\s*[-+]?\d+(?:\.\d+)?\s*%?\s*$/, 'give a number')], 'give a number')
  .transform((given) => Number.parseFloat(String(given)))
  .optional()

const fields = z.looseObject(
  {
    id: words(200),
    label: words(200),
    desc: words(600),
    value,
    icon: z.unknown().optional(),
    illus: z.unknown().optional(),
    get children(): z.ZodOptional<z.ZodArray<z.ZodType<Item>>> {
      return z.array(item, 'give a list of items').optional()
    },
  },
  'give an object with a label',
)

export interface Item {
  readonly label?: string | undefined
  readonly desc?: string | undefined
  readonly value?: number | undefined
  readonly icon?: unknown
  readonly illus?: unknown
  readonly children?: readonly Item[] | undefined
}

/** An item, or its label alone. */
const item: z.ZodType<Item> = z.preprocess(
  (given) => (typeof given === 'string' || typeof given === 'number' ? { label: given } : given),
  fields,
)

/** A list of items, or one alone. */
const items = z.preprocess(
  (given) => (given === undefined || Array.isArray(given) ? given : [given]),
  z.array(item).optional(),
)

/** What the library takes for `data`, with the limits of this server. */
export const contentSchema = z.looseObject(
  {
    title: words(200),
    desc: words(600),
    illus: z.record(z.string(), z.unknown()).optional().catch(undefined),
    order: z.string().optional().catch(undefined),
    items,
    lists: items,
    sequences: items,
    compares: items,
    nodes: items,
    values: items,
    root: items,
  },
  'give an object with title, desc and items',
)

export type GivenContent = z.infer<typeof contentSchema>
