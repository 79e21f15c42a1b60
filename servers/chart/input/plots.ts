import { z } from 'zod'
import {
  axes,
  colour,
  flag,
  label,
  lineWidth,
  list,
  maybe,
  number,
  paint,
  size,
  sizedTree,
  startAtZero,
  style,
  texture,
  theme,
  title,
} from './fields.ts'

const group = maybe(label)
const frame = { theme, ...size, title }
const categories = list(z.object({ category: label, value: number, group }, 'give an object'))
const times = list(z.object({ time: label, value: number, group }, 'give an object'))

/** A number that is no part of something when it is below zero. */
const part = number.refine((value) => value >= 0, 'give no negative number here')

export const line = z.object({
  data: times,
  style: style(z.object({ ...paint, startAtZero, lineWidth }).prefault({})),
  ...frame,
  ...axes,
})

export const area = z.object({
  data: times,
  stack: flag.default(false),
  style: style(z.object({ ...paint, lineWidth }).prefault({})),
  ...frame,
  ...axes,
})

export const bar = z.object({
  data: categories,
  group: flag.default(false),
  stack: flag.default(true),
  style: style(z.object(paint).prefault({})),
  ...frame,
  ...axes,
})

export const column = z.object({
  data: categories,
  group: flag.default(true),
  stack: flag.default(false),
  style: style(z.object(paint).prefault({})),
  ...frame,
  ...axes,
})

export const distribution = z.object({
  data: categories,
  style: style(z.object({ ...paint, startAtZero }).prefault({})),
  ...frame,
  ...axes,
})

export const histogram = z.object({
  data: list(number),
  binNumber: number
    .refine((value) => Number.isInteger(value) && value >= 1 && value <= 200, 'give 1 to 200')
    .optional(),
  style: style(z.object(paint).prefault({})),
  ...frame,
  ...axes,
})

export const scatter = z.object({
  data: list(z.object({ x: number, y: number, group }, 'give an object')),
  style: style(z.object(paint).prefault({})),
  ...frame,
  ...axes,
})

export const pie = z.object({
  data: list(z.object({ category: label, value: part }, 'give an object')),
  innerRadius: number
    .refine((value) => value >= 0 && value < 1, 'give 0 to 1')
    .default(0)
    .describe('0.6: a donut'),
  style: style(z.object(paint).prefault({})),
  ...frame,
})

export const funnel = z.object({
  data: list(z.object({ category: label, value: part }, 'give an object')),
  style: style(z.object(paint).prefault({})),
  ...frame,
})

export const radar = z.object({
  data: list(z.object({ name: label, value: number, group }, 'give an object')),
  style: style(z.object({ ...paint, lineWidth }).prefault({})),
  ...frame,
})

export const liquid = z.object({
  percent: number.refine((value) => value >= 0 && value <= 1, 'give 0 to 1: 0.34 for 34 %').describe('0 to 1'),
  shape: z.enum(['circle', 'rect', 'pin', 'triangle']).default('circle'),
  style: style(z.object({ backgroundColor: colour.optional(), texture, color: colour.optional() }).prefault({})),
  ...frame,
})

export const waterfall = z.object({
  data: list(
    z
      .object(
        {
          category: label,
          value: maybe(number),
          isIntermediateTotal: flag.default(false),
          isTotal: flag.default(false),
        },
        'give an object',
      )
      .refine((step) => step.value !== undefined || step.isTotal || step.isIntermediateTotal, {
        message: 'give a number, or say that it is a total',
        path: ['value'],
      }),
  ),
  style: style(
    z
      .object({
        backgroundColor: colour.optional(),
        texture,
        palette: z
          .object({ positiveColor: colour.optional(), negativeColor: colour.optional(), totalColor: colour.optional() })
          .prefault({}),
      })
      .prefault({}),
  ),
  ...frame,
  ...axes,
})

export const dualAxes = z
  .object({
    categories: list(label),
    series: list(
      z.object(
        { type: z.enum(['column', 'line']), data: list(number), axisYTitle: label.default('') },
        'give an object',
      ),
    ),
    style: style(z.object({ ...paint, startAtZero }).prefault({})),
    ...frame,
    axisXTitle: axes.axisXTitle,
  })
  .superRefine(({ categories: names, series }, context) => {
    for (const [index, one] of series.entries())
      if (one.data.length !== names.length)
        context.addIssue({
          code: 'custom',
          path: ['series', index, 'data'],
          message: `there are ${one.data.length} numbers for ${names.length} categories`,
        })
  })

export const sankey = z
  .object({
    data: list(z.object({ source: label, target: label, value: part }, 'give an object')),
    nodeAlign: z.enum(['left', 'right', 'justify', 'center']).default('center'),
    style: style(z.object(paint).prefault({})),
    ...frame,
  })
  .superRefine(({ data }, context) => {
    const back = circleIn(data)
    if (back !== undefined)
      context.addIssue({ code: 'custom', path: ['data'], message: `the flow goes in a circle through "${back}"` })
  })

/** A node that a flow comes back to, if there is one. */
function circleIn(links: readonly { readonly source: string; readonly target: string }[]): string | undefined {
  const waiting = new Map<string, number>()
  for (const { source, target } of links) {
    waiting.set(source, waiting.get(source) ?? 0)
    waiting.set(target, (waiting.get(target) ?? 0) + 1)
  }
  const from = Map.groupBy(links, ({ source }) => source)
  const free = [...waiting].filter(([, count]) => count === 0).map(([name]) => name)
  for (let name = free.pop(); name !== undefined; name = free.pop()) {
    waiting.delete(name)
    for (const { target } of from.get(name) ?? []) {
      const left = (waiting.get(target) ?? 0) - 1
      waiting.set(target, left)
      if (left === 0) free.push(target)
    }
  }
  return waiting.keys().next().value
}

export const treemap = z.object({
  data: list(sizedTree),
  style: style(z.object(paint).prefault({})),
  ...frame,
})

export const venn = z.object({
  data: list(z.object({ label: maybe(label), value: part, sets: list(label) }, 'give an object')),
  style: style(z.object(paint).prefault({})),
  ...frame,
})

export const wordCloud = z.object({
  data: list(z.object({ text: label, value: number }, 'give an object')),
  style: style(z.object(paint).prefault({})),
  ...frame,
})
