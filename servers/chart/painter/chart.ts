import type { ChartType } from '../catalogue.ts'

/** What can be drawn: a chart's type and its input, as its schema gives it. */
export interface Chart {
  readonly type: ChartType
  readonly input: Readonly<Record<string, unknown>>
}
