import { z } from 'zod'
import { wholeNumber } from '../kit/input.ts'

const maxSyntax = 20_000
const maxLevels = 20

const syntax = z
  .string()
  .max(maxSyntax, `the syntax has more than ${maxSyntax} characters; shorten it`)
  .transform((given) => given.toWellFormed())
  .describe('The infographic in the library’s indented syntax; its first line is: infographic NAME')

const colour = z.string().regex(/^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/, 'give antv, spectral or colours as #rrggbb')

const palette = z
  .preprocess(
    (given) =>
      typeof given === 'string' && given.trim().startsWith('#') ? given.split(/[\s,]+/).filter(Boolean) : given,
    z.union(
      [z.enum(['antv', 'spectral']), z.array(colour).min(1).max(20)],
      'give antv, spectral or colours as #rrggbb',
    ),
  )
  .optional()
  .describe('antv, spectral, or a list of colours as #rrggbb')

/** An object, or the JSON of one. */
const data = z
  .preprocess(
    (given) => (typeof given === 'string' ? parseJson(given) : given),
    z
      .looseObject({}, 'give an object with title, desc and items')
      .refine(
        (given) => JSON.stringify(given).length <= maxSyntax,
        `the data has more than ${maxSyntax} characters of JSON; shorten it`,
      )
      // An object and a list for each level, which what reads it goes into by calling itself.
      .refine(
        (given) => !isDeeperThan(2 * maxLevels + 2, given),
        `the items are more than ${maxLevels} levels deep; give fewer children of children`,
      ),
  )
  .optional()
  .describe(
    'With template: {title, desc, items: [{label, desc, icon, value, id, children}], relations: [{from, to, label}]}',
  )

export const renderInput = z.strictObject({
  syntax: syntax.optional(),
  template: z.string().max(100).optional().describe('A name from list_templates; with data, instead of syntax'),
  data,
  theme: z.enum(['light', 'dark', 'hand-drawn']).optional(),
  palette,
  format: z
    .enum(['png', 'svg'])
    .default('png')
    .describe('png is a picture; svg scales, but only browsers show it: its text is HTML in foreignObject'),
  width: wholeNumber(400, 2_000).optional().describe('Pixels; default twice what it needs, up to 2000'),
})

export type RenderInput = z.infer<typeof renderInput>

export const validateInput = z.strictObject({ syntax })

export const listInput = z.strictObject({
  category: z
    .enum(['list', 'sequence', 'compare', 'hierarchy', 'relation', 'chart', 'quadrant'])
    .optional()
    .describe('Only templates of this family'),
  query: z.string().max(100).optional().describe('Only templates whose line holds every one of these words'),
  limit: wholeNumber(1, 300).prefault(40),
})

export const getInput = z.strictObject({ name: z.string().max(100).describe('A name from list_templates') })

function isDeeperThan(levels: number, value: unknown): boolean {
  if (!(value instanceof Object)) return false
  return levels === 0 || Object.values(value).some((part) => isDeeperThan(levels - 1, part))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
