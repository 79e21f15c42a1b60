import type { z } from 'zod'
import type * as plots from '../input/plots.ts'
import { axisLook, framed, hasGroups, written } from './frame.ts'
import { colourAt, coloursOf, inkOf } from './look.ts'
import { inOrder } from './order.ts'
import type { Spec } from './plot.ts'

/** Up to so many points of a line get a dot each. */
const dots = 40

export function valueScale(startAtZero: boolean): Spec {
  return startAtZero ? { nice: true, domainMin: 0 } : { nice: true }
}

const pointScale = { type: 'point', padding: 0.1 }

/** The encoding of points that may belong to groups: one colour for all where they do not. */
function encoded(grouped: boolean, axes: Spec): Spec {
  return grouped ? { ...axes, color: 'group', series: 'group' } : axes
}

export function ownColour(grouped: boolean, chart: Parameters<typeof framed>[0], property: 'fill' | 'stroke'): Spec {
  return grouped ? {} : { [property]: colourAt(coloursOf(chart, chart.style.palette), 0) }
}

export function line(chart: z.output<typeof plots.line>): Spec {
  const grouped = hasGroups(chart.data)
  const data = inOrder(chart.data)
  const encode = encoded(grouped, { x: 'time', y: 'value' })
  const drawn = { lineWidth: chart.style.lineWidth ?? 2, ...ownColour(grouped, chart, 'stroke') }
  const marks = [
    { type: 'line', style: drawn },
    ...(data.length > dots
      ? []
      : [{ type: 'point', style: { ...ownColour(grouped, chart, 'fill'), r: 2.5 }, tooltip: false }]),
  ]
  const scale = { x: pointScale, y: valueScale(chart.style.startAtZero) }
  return framed(chart, {
    data,
    encode,
    scale,
    children: marks.map((mark) => ({ ...mark, encode: { ...encode, shape: undefined } })),
  })
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

function intervals(chart: Columns, beyond: 'above' | 'beside'): Spec {
  const grouped = hasGroups(chart.data)
  const encode = grouped ? { x: 'category', y: 'value', color: 'group' } : { x: 'category', y: 'value' }
  const many = chart.data.length > 30
  // AntV's default for bars is both; groups beside each other were asked for then.
  const transform = !grouped ? [] : chart.group ? [{ type: 'dodgeX' }] : chart.stack ? [{ type: 'stackY' }] : []
  const inside = grouped && !chart.group
  const labels = [
    {
      text: ({ value }: { value: number }) => written(value),
      fontSize: 11,
      ...labelPlace(chart, inside ? 'inside' : beyond),
    },
  ]
  const mark = {
    type: 'interval',
    encode,
    transform,
    style: { maxWidth: 60, ...ownColour(grouped, chart, 'fill') },
    labels: many ? [] : labels,
  }
  return framed(chart, {
    data: chart.data,
    scale: { x: { padding: 0.25 }, y: { nice: true } },
    coordinate: beyond === 'beside' ? { transform: [{ type: 'transpose' }] } : {},
    children: [mark],
  })
}

/** In the middle of a part of a stack, else beyond the end. */
function labelPlace(chart: Columns, place: 'inside' | 'above' | 'beside'): Spec {
  const transform = [{ type: 'overlapHide' }]
  if (place === 'inside') return { position: 'inside', fill: '#fff', transform }
  const beyond =
    place === 'above' ? { style: { textBaseline: 'bottom' } } : { position: 'right', textAlign: 'left', dx: 4 }
  return { ...beyond, fill: inkOf(chart), fillOpacity: 0.8, transform }
}

export function column(chart: Columns): Spec {
  return intervals(chart, 'above')
}

export function bar(chart: Columns): Spec {
  return intervals(chart, 'beside')
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

export function waterfall(chart: z.output<typeof plots.waterfall>): Spec {
  const { positiveColor = '#ff4d4f', negativeColor = '#2ebb59', totalColor = '#1783ff' } = chart.style.palette
  const colours = { gain: positiveColor, loss: negativeColor, total: totalColor }
  const steps = fallen(chart.data)
  const mark = {
    type: 'interval',
    encode: { x: 'category', y: ['from', 'to'] },
    style: { maxWidth: 60, fill: ({ kind }: Step) => colours[kind] },
    labels: [
      {
        text: ({ change }: Step) => written(change),
        position: 'top',
        dy: -14,
        fontSize: 11,
        fill: inkOf(chart),
        fillOpacity: 0.75,
      },
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
    const y = {
      ...axisLook(ink),
      title: axisYTitle || false,
      titleFill: fill,
      position: index === 0 ? 'left' : 'right',
      grid: index === 0,
    }
    return {
      type: type === 'column' ? 'interval' : 'line',
      data: points,
      encode: { x: 'category', y: 'value', color: () => name },
      scale: {
        y: { independent: true, key: `y${index}`, ...valueScale(chart.style.startAtZero || type === 'column') },
      },
      axis: { y: index > 2 ? false : y },
      style: type === 'column' ? { maxWidth: 50, fillOpacity: 0.85 } : { lineWidth: 2.5 },
    }
  })
  const titled = { ...chart, axisYTitle: '' }
  const scale = { x: { padding: 0.4 }, color: { range: colours } }
  return framed(titled, { scale, children, axis: { x: { ...axisLook(ink), title: chart.axisXTitle || false } } })
}
