import type { z } from 'zod'
import type * as plots from '../input/plots.ts'
import { ownColour, valueScale } from './axis-plots.ts'
import { framed, hasGroups } from './frame.ts'
import type { Spec } from './plot.ts'

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
  const [least, most] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  )
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

type Distribution = z.output<typeof plots.distribution>

export function boxplot(chart: Distribution): Spec {
  const grouped = hasGroups(chart.data)
  const encode = {
    x: 'category',
    y: 'value',
    color: grouped ? 'group' : 'category',
    ...(grouped && { series: 'group' }),
  }
  const mark = { type: 'boxplot', encode, style: { boxFillOpacity: 0.5, pointR: 2, lineWidth: 1.5 } }
  const legend = grouped ? undefined : { color: false }
  const scale = { x: { padding: 0.3 }, y: valueScale(chart.style.startAtZero) }
  return framed(chart, { data: chart.data, scale, children: [mark], ...(legend && { legend }) })
}

export function violin(chart: Distribution): Spec {
  const grouped = hasGroups(chart.data)
  const data = chart.data.map((point) => ({ ...point, group: point.group ?? point.category }))
  const estimate = {
    type: 'kde',
    field: 'value',
    groupBy: ['category', 'group'],
    size: 60,
    width: 10,
    as: ['y', 'size'],
  }
  const series = grouped ? { series: 'group' } : {}
  const density = {
    type: 'density',
    data: { value: spread(data), transform: [estimate, { type: 'custom', callback: widened }] },
    encode: { x: 'category', y: 'y', color: 'group', size: 'size', ...series },
    style: { fillOpacity: 0.6 },
    tooltip: false,
  }
  // The mark for boxes with quartiles drops what it is told of animation where it has no points, and then never ends.
  const box = {
    type: 'box',
    data: [...Map.groupBy(data, ({ category, group }) => JSON.stringify([category, group])).values()].map(fiveNumbers),
    encode: {
      x: 'category',
      y: 'min',
      y1: 'q1',
      y2: 'median',
      y3: 'q3',
      y4: 'max',
      color: 'group',
      shape: 'violin',
      ...series,
    },
    style: { opacity: 0.6, strokeOpacity: 0.6 },
  }
  const scale = { x: { padding: 0.2 }, y: valueScale(chart.style.startAtZero) }
  const children = spread(data).length > 0 ? [density, box] : [box]
  return framed(chart, { scale, children, ...(grouped ? {} : { legend: { color: false } }) })
}

/** Those of groups in which not all values are the same: others have no density. */
function spread<Point extends Single>(points: readonly Point[]): readonly Point[] {
  const groups = Map.groupBy(points, ({ category, group }) => JSON.stringify([category, group])).values()
  return [...groups].filter((members) => members.some(({ value }) => value !== members[0]?.value)).flat()
}

interface Estimate {
  readonly size: readonly number[]
}

/** With the thickest place of all nearly as wide as there is room; sizes are shares of the whole axis's width. */
function widened(estimates: readonly Estimate[]): readonly Estimate[] {
  const thickest = Math.max(...estimates.flatMap(({ size }) => size))
  return estimates.map((one) => ({ ...one, size: one.size.map((size) => (size / thickest) * 0.4) }))
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
