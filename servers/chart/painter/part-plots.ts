import type { z } from 'zod'
import type { Tree } from '../input/fields.ts'
import type * as plots from '../input/plots.ts'
import { DrawFailure } from './draw-failure.ts'
import { axisLook, framed, hasGroups, penFor, written } from './frame.ts'
import { colourAt, coloursOf, inkOf, paperOf } from './look.ts'
import type { Spec } from './plot.ts'

interface Slice {
  readonly category: string
  readonly value: number
}

export function pie(chart: z.output<typeof plots.pie>): Spec {
  const ink = inkOf(chart)
  const sum = chart.data.reduce((all, { value }) => all + value, 0)
  if (sum === 0) throw new DrawFailure('data: all values are 0, so there is nothing to share out')
  const share = ({ value }: Slice) => `${written(Math.round((value / sum) * 1_000) / 10)} %`
  const few = chart.data.length <= 12
  const names = {
    text: ({ category }: Slice) => category,
    position: 'spider',
    connectorStroke: ink,
    fill: ink,
    fontSize: 12,
  }
  const mark = {
    type: 'interval',
    encode: { y: 'value', color: 'category' },
    transform: [{ type: 'stackY' }],
    style: { stroke: paperOf(chart), lineWidth: 1 },
    labels: few
      ? [
          {
            ...names,
            text: (slice: Slice) => `${slice.category}: ${share(slice)}`,
            transform: [{ type: 'overlapHide' }],
          },
        ]
      : [],
  }
  return framed(chart, {
    data: chart.data,
    coordinate: { type: 'theta', outerRadius: 0.85, innerRadius: chart.innerRadius * 0.85 },
    children: [mark],
    ...(few && { legend: false }),
  })
}

export function funnel(chart: z.output<typeof plots.funnel>): Spec {
  const first = chart.data[0]?.value ?? 0
  const share = (value: number) => (first > 0 ? ` (${written(Math.round((value / first) * 1_000) / 10)} %)` : '')
  const mark = {
    type: 'interval',
    encode: { x: 'category', y: 'value', color: 'category', shape: 'funnel' },
    transform: [{ type: 'symmetryY' }],
    scale: { x: { padding: 0 } },
    labels: [
      {
        text: ({ category, value }: Slice) => `${category}\n${written(value)}${share(value)}`,
        position: 'inside',
        fontSize: 12,
        fill: '#333333',
        // Where a stage is narrower than its words they reach over it.
        background: true,
        backgroundFill: '#ffffff',
        backgroundFillOpacity: 0.75,
        backgroundRadius: 4,
        backgroundPadding: [2, 6],
      },
    ],
  }
  return framed(chart, {
    data: chart.data,
    coordinate: { transform: [{ type: 'transpose' }] },
    children: [mark],
    axis: false,
    legend: false,
  })
}

export function radar(chart: z.output<typeof plots.radar>): Spec {
  const ink = inkOf(chart)
  const grouped = hasGroups(chart.data)
  const encode = { x: 'name', y: 'value', ...(grouped && { color: 'group', series: 'group' }) }
  const colour = colourAt(coloursOf(chart, chart.style.palette), 0)
  const children = [
    { type: 'area', encode, style: { fillOpacity: 0.25, ...(grouped ? {} : { fill: colour }) } },
    {
      type: 'line',
      encode,
      style: { lineWidth: chart.style.lineWidth ?? 2, ...(grouped ? {} : { stroke: colour }) },
    },
    { type: 'point', encode, style: { r: 2.5, ...(grouped ? {} : { fill: colour }) } },
  ]
  const low = Math.min(0, ...chart.data.map(({ value }) => value))
  const grid = { grid: true, gridLineWidth: 1, gridLineDash: [0, 0], gridStroke: ink, gridStrokeOpacity: 0.15 }
  return framed(chart, {
    data: chart.data,
    paddingBottom: 36,
    coordinate: { type: 'polar', outerRadius: 0.95 },
    scale: { x: { padding: 0.5, align: 0 }, y: { nice: true, domainMin: low } },
    children,
    axis: {
      x: { ...axisLook(ink), ...grid, title: false },
      y: { ...axisLook(ink), ...grid, title: false, zIndex: 1, labelFontSize: 10, label: true },
    },
  })
}

export function liquid(chart: z.output<typeof plots.liquid>): Spec {
  const fill = chart.style.color ?? colourAt(coloursOf(chart), 0)
  const mark = {
    type: 'liquid',
    data: chart.percent,
    style: {
      shape: chart.shape,
      outlineBorder: 3,
      outlineDistance: 6,
      outlineStroke: fill,
      contentFill: inkOf(chart),
      contentText: `${written(Math.round(chart.percent * 1_000) / 10)} %`,
      contentFontSize: 28,
      backgroundFill: 'transparent',
      fill,
      waveLength: 128,
    },
  }
  return framed(chart, { children: [mark], axis: false })
}

export function sankey(chart: z.output<typeof plots.sankey>): Spec {
  const ink = inkOf(chart)
  const links = [...Map.groupBy(chart.data, ({ source, target }) => JSON.stringify([source, target])).values()].map(
    (same) => ({ ...same[0], value: same.reduce((sum, { value }) => sum + value, 0) }),
  )
  const mark = {
    type: 'sankey',
    data: { value: { links } },
    layout: { nodeAlign: chart.nodeAlign, nodePadding: 0.03 },
    scale: { color: { range: coloursOf(chart, chart.style.palette) } },
    style: {
      labelSpacing: 4,
      labelFontSize: 12,
      labelFill: ink,
      nodeLineWidth: 0,
      linkFillOpacity: 0.35,
      ...penFor(chart, 'node', 'link'),
    },
  }
  return framed(chart, { children: [mark], axis: false, legend: false })
}

export function treemap(chart: z.output<typeof plots.treemap>): Spec {
  const root = { name: 'all', children: chart.data.map(sized) }
  if (root.children.every(({ value }) => value === 0)) throw new DrawFailure('data: no node has a value above 0')
  const mark = {
    type: 'treemap',
    data: { value: root },
    encode: { value: 'value', color: (leaf: Leaf) => leaf.path?.[1] ?? leaf.name },
    layout: { tile: 'treemapBinary', paddingInner: 2 },
    scale: { color: { range: coloursOf(chart, chart.style.palette) } },
    style: { fillOpacity: 0.85, stroke: paperOf(chart), lineWidth: 1, labelFill: '#1a1a1a', labelFontSize: 12 },
  }
  return framed(chart, { children: [mark], axis: false, legend: false })
}

interface Leaf {
  readonly name: string
  readonly value: number
  readonly path?: readonly string[]
}

interface Sized {
  readonly name: string
  readonly value: number
  readonly children?: readonly Sized[]
}

/** With the size of a branch where it is not given: that of its leaves. */
function sized(node: Tree): Sized {
  const children = node.children.map(sized)
  const sum = children.reduce((all, { value }) => all + value, 0)
  const value = children.length > 0 ? sum : Math.max(0, node.value ?? 0)
  return { name: node.name, value, ...(children.length > 0 && { children }) }
}

export function venn(chart: z.output<typeof plots.venn>): Spec {
  const data = chart.data.map(({ sets, value, label }) => ({ sets: [...new Set(sets)], value, label }))
  const mark = {
    type: 'path',
    data: { value: data, transform: [{ type: 'venn', padding: 8, sets: 'sets', size: 'value', as: ['key', 'path'] }] },
    encode: { d: 'path', color: 'key' },
    scale: { color: { range: coloursOf(chart, chart.style.palette) } },
    style: { fillOpacity: 0.55 },
    labels: [
      {
        position: 'inside',
        text: ({ label, sets }: { label?: string; sets: readonly string[] }) =>
          label ?? (sets.length === 1 ? sets[0] : ''),
        fontSize: 12,
        fill: inkOf(chart),
        transform: [{ type: 'overlapHide' }],
      },
    ],
  }
  return framed(chart, { children: [mark], axis: false, legend: false })
}

export function wordCloud(chart: z.output<typeof plots.wordCloud>): Spec {
  const least = Math.min(...chart.data.map(({ value }) => value))
  const most = Math.max(...chart.data.map(({ value }) => value))
  const largest = Math.min(chart.width, chart.height) / 7
  const size = (value: number) =>
    most > least ? 12 + ((value - least) / (most - least)) * (largest - 12) : largest / 2
  const mark = {
    type: 'wordCloud',
    data: { value: chart.data },
    encode: { text: 'text', value: 'value', color: 'text' },
    scale: { color: { range: coloursOf(chart, chart.style.palette) } },
    layout: { padding: 2, rotate: 0, fontSize: ({ value }: { value: number }) => size(value) },
  }
  return framed(chart, { children: [mark], axis: false, legend: false })
}
