import type { z } from 'zod'
import type * as plots from '../input/plots.ts'
import { axisLook, framed, hasGroups, written } from './frame.ts'
import { colourAt, coloursOf, inkOf } from './look.ts'
import { inOrder } from './order.ts'
import type { Spec } from './plot.ts'

/** Up to so many points of a line get a dot each. */
const dots = 40

function valueScale(startAtZero: boolean): Spec {
  return startAtZero ? { nice: true, domainMin: 0 } : { nice: true }
}

const pointScale = { type: 'point', padding: 0.1 }

/** The encoding of points that may belong to groups: one colour for all where they do not. */
function encoded(grouped: boolean, axes: Spec): Spec {
  return grouped ? { ...axes, color: 'group', series: 'group' } : axes
}

function ownColour(grouped: boolean, chart: Parameters<typeof framed>[0], property: 'fill' | 'stroke'): Spec {
  return grouped ? {} : { [property]: colourAt(coloursOf(chart, chart.style.palette), 0) }
}

export function line(chart: z.output<typeof plots.line>): Spec {
  const grouped = hasGroups(chart.data)
  const data = inOrder(chart.data)
  const encode = encoded(grouped, { x: 'time', y: 'value' })
  const drawn = { lineWidth: chart.style.lineWidth ?? 2, ...ownColour(grouped, chart, 'stroke') }
  const marks = [
    { type: 'line', style: drawn },
    ...(data.length > dots ? [] : [{ type: 'point', style: { ...ownColour(grouped, chart, 'fill'), r: 2.5 }, tooltip: false }]),
  ]
  const scale = { x: pointScale, y: valueScale(chart.style.startAtZero) }
  return framed(chart, { data, encode, scale, children: marks.map((mark) => ({ ...mark, encode: { ...encode, shape: undefined } })) })
}

export function area(chart: z.output<typeof plots.area>): Spec {
  const grouped = hasGroups(chart.data)
  const data = inOrder(chart.data)
  const encode = encoded(grouped, { x: 'time', y: 'value' })
  const transform = chart.stack && grouped ? [{ type: 'stackY' }] : []
  const fill = { fillOpacity: chart.stack ? 0.75 : 0.3, ...ownColour(grouped, chart, 'fill') }
  const stroke = { lineWidth: chart.style.lineWidth ?? 2, ...ownColour(grouped, chart, 'stroke') }
  const children = [
    { type: 'area', encode, transform, style: fill },
    { type: 'line', encode, transform, style: stroke, tooltip: false },
  ]
  return framed(chart, { data, scale: { x: pointScale, y: { nice: true } }, children })
}

type Columns = z.output<typeof plots.column>

function intervals(chart: Columns, coordinate: Spec): Spec {
  const grouped = hasGroups(chart.data)
  const encode = grouped ? { x: 'category', y: 'value', color: 'group' } : { x: 'category', y: 'value' }
  const many = chart.data.length > 30
  // AntV's default for bars is both; groups beside each other were asked for then.
  const transform = !grouped ? [] : chart.group ? [{ type: 'dodgeX' }] : chart.stack ? [{ type: 'stackY' }] : []
  const inside = grouped && !chart.group
  const labels = [{ text: ({ value }: { value: number }) => written(value), fontSize: 11, ...labelPlace(chart, inside) }]
  const mark = {
    type: 'interval',
    encode,
    transform,
    style: { maxWidth: 60, ...ownColour(grouped, chart, 'fill') },
    labels: many ? [] : labels,
  }
  return framed(chart, { data: chart.data, scale: { x: { padding: 0.25 }, y: { nice: true } }, coordinate, children: [mark] })
}

function labelPlace(chart: Columns, inside: boolean): Spec {
  if (inside) return { position: 'inside', fill: '#fff', transform: [{ type: 'overlapHide' }] }
  return { style: { textBaseline: 'bottom' }, fill: inkOf(chart), fillOpacity: 0.75, transform: [{ type: 'overlapHide' }] }
}

export function column(chart: Columns): Spec {
  return intervals(chart, {})
}

export function bar(chart: Columns): Spec {
  return intervals(chart, { transform: [{ type: 'transpose' }] })
}

export function scatter(chart: z.output<typeof plots.scatter>): Spec {
  const grouped = hasGroups(chart.data)
  const encode = encoded(grouped, { x: 'x', y: 'y', shape: 'point' })
  const style = { fillOpacity: 0.7, r: chart.data.length > 500 ? 2.5 : 4, ...ownColour(grouped, chart, 'fill') }
  return framed(chart, {
    data: chart.data,
    scale: { x: { nice: true }, y: { nice: true } },
    children: [{ type: 'point', encode, style }],
  })
}

export function histogram(chart: z.output<typeof plots.histogram>): Spec {
  const bins = binned(chart.data, chart.binNumber ?? Math.ceil(Math.log2(chart.data.length) + 1))
  const mark = {
    type: 'rect',
    encode: { x: 'from', x1: 'to', y: 'count' },
    style: { ...ownColour(false, chart, 'fill'), inset: 0.5 },
  }
  return framed(chart, { data: bins, scale: { y: { nice: true, domainMin: 0 } }, children: [mark] })
}

interface Bin {
  readonly from: number
  readonly to: number
  readonly count: number
}

function binned(values: readonly number[], count: number): readonly Bin[] {
  const [least, most] = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity])
  const wide = most > least ? most - least : 1
  const start = most > least ? least : least - 0.5
  const step = wide / count
  const counts = new Array<number>(count).fill(0)
  for (const value of values) {
    const index = Math.min(count - 1, Math.floor((value - start) / step))
    counts[index] = (counts[index] ?? 0) + 1
  }
  return counts.map((of, index) => ({ from: start + index * step, to: start + (index + 1) * step, count: of }))
}

export function waterfall(chart: z.output<typeof plots.waterfall>): Spec {
  const { positiveColor = '#ff4d4f', negativeColor = '#2ebb59', totalColor = '#1783ff' } = chart.style.palette
  const colours = { gain: positiveColor, loss: negativeColor, total: totalColor }
  const steps = fallen(chart.data)
  const mark = {
    type: 'interval',
    encode: { x: 'category', y: ['from', 'to'] },
    style: { maxWidth: 60, fill: ({ kind }: Step) => colours[kind] },
    labels: [
      { text: ({ change }: Step) => written(change), position: 'top', dy: -14, fontSize: 11, fill: inkOf(chart), fillOpacity: 0.75 },
    ],
  }
  const flat = { ...chart, style: { ...chart.style, palette: undefined } }
  return framed(flat, { data: steps, scale: { x: { padding: 0.3 }, y: { nice: true } }, children: [mark] })
}

interface Step {
  readonly category: string
  readonly from: number
  readonly to: number
  readonly change: number
  readonly kind: 'gain' | 'loss' | 'total'
}

type Fall = z.output<typeof plots.waterfall>['data'][number]

/** Where each step begins and ends; an intermediate total is the sum since the start, as a final one is. */
function fallen(data: readonly Fall[]): readonly Step[] {
  let sum = 0
  return data.map(({ category, value, isTotal, isIntermediateTotal }): Step => {
    if (isTotal || isIntermediateTotal) return { category, from: 0, to: sum, change: sum, kind: 'total' }
    const change = value ?? 0
    const from = sum
    sum += change
    return { category, from, to: sum, change, kind: change < 0 ? 'loss' : 'gain' }
  })
}

export function dualAxes(chart: z.output<typeof plots.dualAxes>): Spec {
  const ink = inkOf(chart)
  const colours = coloursOf(chart, chart.style.palette)
  const children = chart.series.map(({ type, data, axisYTitle }, index) => {
    const name = axisYTitle === '' ? `${type} ${index + 1}` : axisYTitle
    const fill = colourAt(colours, index)
    const points = chart.categories.map((category, at) => ({ category, value: data[at] ?? 0, name }))
    const y = { ...axisLook(ink), title: axisYTitle || false, titleFill: fill, position: index === 0 ? 'left' : 'right', grid: index === 0 }
    return {
      type: type === 'column' ? 'interval' : 'line',
      data: points,
      encode: { x: 'category', y: 'value', color: () => name },
      scale: { y: { independent: true, key: `y${index}`, ...valueScale(chart.style.startAtZero || type === 'column') } },
      axis: { y: index > 2 ? false : y },
      style: type === 'column' ? { maxWidth: 50, fillOpacity: 0.85 } : { lineWidth: 2.5 },
    }
  })
  const titled = { ...chart, axisYTitle: '' }
  const scale = { x: { padding: 0.4 }, color: { range: colours } }
  return framed(titled, { scale, children, axis: { x: { ...axisLook(ink), title: chart.axisXTitle || false } } })
}

type Distribution = z.output<typeof plots.distribution>

export function boxplot(chart: Distribution): Spec {
  const grouped = hasGroups(chart.data)
  const encode = { x: 'category', y: 'value', color: grouped ? 'group' : 'category', ...(grouped && { series: 'group' }) }
  const mark = { type: 'boxplot', encode, style: { boxFillOpacity: 0.5, pointR: 2, lineWidth: 1.5 } }
  const legend = grouped ? undefined : { color: false }
  const scale = { x: { padding: 0.3 }, y: valueScale(chart.style.startAtZero) }
  return framed(chart, { data: chart.data, scale, children: [mark], ...(legend && { legend }) })
}

export function violin(chart: Distribution): Spec {
  const grouped = hasGroups(chart.data)
  const data = chart.data.map((point) => ({ ...point, group: point.group ?? point.category }))
  const estimate = { type: 'kde', field: 'value', groupBy: ['category', 'group'], size: 40 }
  const series = grouped ? { series: 'group' } : {}
  const density = {
    type: 'density',
    data: { value: data, transform: [estimate] },
    encode: { x: 'category', y: 'value', color: 'group', size: 'size', ...series },
    style: { fillOpacity: 0.6 },
    tooltip: false,
  }
  // The mark for boxes with quartiles drops what it is told of animation where it has no points, and then never ends.
  const box = {
    type: 'box',
    data: [...Map.groupBy(data, ({ category, group }) => JSON.stringify([category, group])).values()].map(fiveNumbers),
    encode: { x: 'category', y: 'min', y1: 'q1', y2: 'median', y3: 'q3', y4: 'max', color: 'group', shape: 'violin', ...series },
    style: { opacity: 0.6, strokeOpacity: 0.6 },
  }
  const scale = { x: { padding: 0.2 }, y: valueScale(chart.style.startAtZero) }
  return framed(chart, { scale, children: [density, box], ...(grouped ? {} : { legend: { color: false } }) })
}

type Single = Distribution['data'][number]

function fiveNumbers(points: readonly Single[]) {
  const values = points.map(({ value }) => value).toSorted((a, b) => a - b)
  const at = (share: number) => {
    const place = share * (values.length - 1)
    const [low = 0, high = low] = [values[Math.floor(place)], values[Math.ceil(place)]]
    return low + (high - low) * (place - Math.floor(place))
  }
  return { ...points[0], min: at(0), q1: at(0.25), median: at(0.5), q3: at(0.75), max: at(1) }
}
