import { z } from 'zod'
import { label, list, size } from './fields.ts'

const cell = z.union([z.null(), z.number(), label], 'give a text, a number or null')

export const spreadsheet = z.object({
  data: list(z.record(z.string(), cell, 'give an object')).describe('Rows: column name → value'),
  rows: list(label).optional().describe('Pivot: columns whose values head the rows'),
  columns: list(label).optional().describe('Order of the columns; pivot: columns whose values head the columns'),
  values: list(label).optional().describe('Pivot: columns that are summed'),
  theme: z.enum(['default', 'dark']).default('default'),
  ...size,
})

export type Cell = z.output<typeof cell>
