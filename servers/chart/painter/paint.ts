import { type ChartType, inputs } from '../catalogue.ts'
import * as axisPlots from './axis-plots.ts'
import { isColour } from './canvas.ts'
import type { Chart } from './chart.ts'
import * as diagrams from './diagrams.ts'
import * as distributions from './distribution-plots.ts'
import { DrawFailure } from './draw-failure.ts'
import { drawGraph, type Graph } from './graph.ts'
import type { Look } from './look.ts'
import { drawPathMap, drawPinMap } from './map.ts'
import * as partPlots from './part-plots.ts'
import { drawPlot, type Spec } from './plot.ts'
import { drawTable } from './table.ts'

type Paint = (input: unknown, ratio: number) => Promise<Buffer>

interface Schema<Input> {
  parse(input: unknown): Input
}

function plot<Input extends Look>(schema: Schema<Input>, specOf: (input: Input) => Spec): Paint {
  return (input, ratio) => {
    const chart = schema.parse(input)
    return drawPlot(specOf(chart), chart, ratio)
  }
}

function graph<Input extends Look>(schema: Schema<Input>, graphOf: (input: Input) => Graph): Paint {
  return (input, ratio) => {
    const chart = schema.parse(input)
    return drawGraph(graphOf(chart), chart, ratio)
  }
}

function sheet<Input>(schema: Schema<Input>, draw: (input: Input, ratio: number) => Buffer): Paint {
  return async (input, ratio) => draw(schema.parse(input), ratio)
}

const paints: Readonly<Record<ChartType, Paint>> = {
  line: plot(inputs.line, axisPlots.line),
  area: plot(inputs.area, axisPlots.area),
  bar: plot(inputs.bar, axisPlots.bar),
  column: plot(inputs.column, axisPlots.column),
  pie: plot(inputs.pie, partPlots.pie),
  scatter: plot(inputs.scatter, axisPlots.scatter),
  histogram: plot(inputs.histogram, distributions.histogram),
  boxplot: plot(inputs.boxplot, distributions.boxplot),
  violin: plot(inputs.violin, distributions.violin),
  radar: plot(inputs.radar, partPlots.radar),
  funnel: plot(inputs.funnel, partPlots.funnel),
  waterfall: plot(inputs.waterfall, axisPlots.waterfall),
  'dual-axes': plot(inputs['dual-axes'], axisPlots.dualAxes),
  liquid: plot(inputs.liquid, partPlots.liquid),
  sankey: plot(inputs.sankey, partPlots.sankey),
  treemap: plot(inputs.treemap, partPlots.treemap),
  venn: plot(inputs.venn, partPlots.venn),
  'word-cloud': plot(inputs['word-cloud'], partPlots.wordCloud),
  'flow-diagram': graph(inputs['flow-diagram'], diagrams.flowDiagram),
  'network-graph': graph(inputs['network-graph'], diagrams.networkGraph),
  'organization-chart': graph(inputs['organization-chart'], diagrams.organizationChart),
  'mind-map': graph(inputs['mind-map'], diagrams.mindMap),
  'fishbone-diagram': graph(inputs['fishbone-diagram'], diagrams.fishboneDiagram),
  spreadsheet: sheet(inputs.spreadsheet, drawTable),
  'pin-map': sheet(inputs['pin-map'], drawPinMap),
  'path-map': sheet(inputs['path-map'], drawPathMap),
}

const maxPixels = 8e6
const maxBytes = 3_750_000

/**
 * Paints a chart as a PNG of two pixels for each that was asked for; of one where that would be more than 8 megapixels, or
 * 5 MB as base64. The libraries round ratios between.
 *
 * @throws DrawFailure for what cannot be drawn of the input.
 */
export async function paintChart({ type, input }: Chart): Promise<Buffer> {
  mustBeColours(input.style)
  if (4 * Number(input.width) * Number(input.height) > maxPixels) return await paints[type](input, 1)
  const png = await paints[type](input, 2)
  return png.length <= maxBytes ? png : await paints[type](input, 1)
}

function mustBeColours(style: unknown): void {
  const given = style instanceof Object ? Object.entries(style) : []
  for (const [name, value] of given) {
    if (name === 'palette' && value instanceof Object)
      mustBeColours(Object.fromEntries(Object.entries(value).map(([key, one]) => [`palette ${key}`, one])))
    const isOne = name === 'backgroundColor' || name === 'color' || name.startsWith('palette ')
    if (isOne && typeof value === 'string' && !isColour(value))
      throw new DrawFailure(`style.${name}: there is no colour "${value}"`)
  }
}
