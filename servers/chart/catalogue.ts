import type { z } from 'zod'
import * as diagrams from './input/diagrams.ts'
import * as maps from './input/maps.ts'
import * as plots from './input/plots.ts'
import { spreadsheet } from './input/table.ts'

/** A kind of chart by AntV's name of it, and the tool that draws it. */
export interface ChartKind {
  readonly type: string
  readonly tool: string
  readonly description: string
  readonly input: z.ZodType<Readonly<Record<string, unknown>>>
}

/** What the input of each type must be. */
export const inputs = {
  line: plots.line,
  area: plots.area,
  bar: plots.bar,
  column: plots.column,
  pie: plots.pie,
  scatter: plots.scatter,
  histogram: plots.histogram,
  boxplot: plots.distribution,
  violin: plots.distribution,
  radar: plots.radar,
  funnel: plots.funnel,
  waterfall: plots.waterfall,
  'dual-axes': plots.dualAxes,
  liquid: plots.liquid,
  sankey: plots.sankey,
  treemap: plots.treemap,
  venn: plots.venn,
  'word-cloud': plots.wordCloud,
  'flow-diagram': diagrams.network,
  'network-graph': diagrams.network,
  'organization-chart': diagrams.organization,
  'mind-map': diagrams.mindMap,
  'fishbone-diagram': diagrams.mindMap,
  spreadsheet,
  'pin-map': maps.pinMap,
  'path-map': maps.pathMap,
}

export type ChartType = keyof typeof inputs

const descriptions: Readonly<Record<ChartType, string>> = {
  line: 'Lines: trends over time.',
  area: 'Areas under lines: amounts over time, stacked if they add up.',
  bar: 'Horizontal bars: compares categories, also with long names.',
  column: 'Vertical columns: compares categories.',
  pie: 'Pie or donut: shares of a whole.',
  scatter: 'Points: how two numbers relate.',
  histogram: 'Columns of counts: how numbers are distributed.',
  boxplot: 'Boxes with quartiles and outliers for each category; give every single value.',
  violin: 'Densities for each category; give every single value.',
  radar: 'Radar: several dimensions of a few things.',
  funnel: 'Funnel: what is left after each stage, in order.',
  waterfall: 'Waterfall: how gains and losses make a total; totals need no value.',
  'dual-axes': 'Columns and lines over the same categories, each with an axis of its own.',
  liquid: 'One share as a level of liquid.',
  sankey: 'Sankey: flows from source to target.',
  treemap: 'Rectangles: parts of parts by size.',
  venn: 'Circles that overlap: sets and what they share.',
  'word-cloud': 'Words by weight.',
  'flow-diagram': 'Steps and decisions, with arrows.',
  'network-graph': 'Who is connected with whom.',
  'organization-chart': 'Who reports to whom.',
  'mind-map': 'A topic and its branches, to both sides.',
  'fishbone-diagram': 'Causes (branches) of a problem (head).',
  spreadsheet: 'A table; with rows or values a pivot table.',
  'pin-map': 'Places on an outline map of the world or a part of it.',
  'path-map': 'Routes through places on an outline map.',
}

/** AntV's name of the tool for a type: a diagram, a map or a spreadsheet is not called a chart again. */
function toolOf(type: string): string {
  const name = type.replaceAll('-', '_')
  return /(?:_diagram|_map|_graph|_chart|^spreadsheet)$/.test(name) ? `generate_${name}` : `generate_${name}_chart`
}

export function isChartType(type: string): type is ChartType {
  return Object.hasOwn(inputs, type)
}

export const chartTypes: readonly ChartType[] = Object.keys(inputs).filter(isChartType)

export const chartKinds: readonly (ChartKind & { readonly type: ChartType })[] = chartTypes.map((type) => ({
  type,
  tool: toolOf(type),
  description: descriptions[type],
  input: inputs[type],
}))

export const districtMapTool = 'generate_district_map'
export const districtMapWords =
  'A district map needs the outlines of administrative districts, which only AntV’s remote map service has; this server works without it. Draw generate_pin_map with the places, or compare the districts with generate_bar_chart or generate_treemap_chart.'
