import { coloursOf, inkOf, type Look } from './look.ts'
import type { Spec } from './plot.ts'

/** What most charts with axes are given. */
export interface Framed extends Look {
  readonly title: string
  readonly axisXTitle?: string
  readonly axisYTitle?: string
  readonly style: Look['style'] & { readonly palette?: readonly string[] | undefined }
}

interface Marks extends Spec {
  readonly children: readonly Spec[]
}

/** A view with the chart's title, axes and colours around its marks. */
export function framed(chart: Framed, marks: Marks): Spec {
  const ink = inkOf(chart)
  return {
    type: 'view',
    padding: 'auto',
    inset: 4,
    title: chart.title === '' ? undefined : { title: chart.title, titleFontSize: 16, titleFill: ink },
    ...marks,
    // A mark that is animated waits for a screen for ever.
    children: marks.children.map((mark) => ({ ...mark, animate: false, style: strokes(chart, mark.style) })),
    scale: { color: { range: coloursOf(chart, chart.style.palette) }, ...scaleOf(marks) },
    axis: {
      x: { ...axisLook(ink), title: chart.axisXTitle || false },
      y: { ...axisLook(ink), title: chart.axisYTitle || false },
    },
    legend: {
      color: {
        position: 'top',
        ...marker(chart),
        itemLabelFontSize: 12,
        itemLabelFill: ink,
        itemLabelFillOpacity: 0.9,
      },
    },
    ...(marks.axis === undefined ? {} : { axis: marks.axis }),
    ...(marks.legend === undefined ? {} : { legend: marks.legend }),
  }
}

/** A legend's signs; drawn by hand, filled ones are too small to be seen. */
function marker({ style }: Framed): Spec {
  if (style.texture !== 'rough') return { itemMarker: 'circle', itemMarkerSize: 9 }
  return { itemMarker: 'line', itemMarkerSize: 12, itemMarkerLineWidth: 3 }
}

/** What draws by hand in the terms of its plugin: the gaps between strokes, and their widths. */
const pen = { lineWidth: 1.5, fillWeight: 2, hachureGap: 7 }

/** The pen for the parts of a mark that have a style each. */
export function penFor({ style }: Framed, ...parts: readonly string[]): Spec {
  if (style.texture !== 'rough') return {}
  const named = parts.flatMap((part) =>
    Object.entries(pen).map(([key, value]) => [`${part}${key[0]?.toUpperCase()}${key.slice(1)}`, value]),
  )
  return Object.fromEntries(named)
}

/** A mark's style; where it is drawn by hand, the pen needs a width, also for what it only fills. */
function strokes({ style }: Framed, own: unknown): unknown {
  if (style.texture !== 'rough') return own
  return { ...pen, ...(own instanceof Object && own) }
}

export function axisLook(ink: string): Spec {
  return {
    labelFill: ink,
    labelOpacity: 1,
    labelFillOpacity: 0.8,
    labelFontSize: 12,
    titleFill: ink,
    titleOpacity: 1,
    titleFontSize: 12,
    labelAutoHide: true,
    labelAutoEllipsis: { type: 'ellipsis', minLength: 8, maxLength: 24 },
  }
}

function scaleOf(marks: Spec): object {
  return marks.scale instanceof Object ? marks.scale : {}
}

/** Whether any of the data says what it belongs to. */
export function hasGroups(data: readonly { readonly group?: string | undefined }[]): boolean {
  return data.some(({ group }) => group !== undefined)
}

/** Numbers as people write them: 12,500 and 0.25, never 0.30000000000000004. */
export function written(value: number): string {
  return new Intl.NumberFormat('en', { maximumFractionDigits: 3, maximumSignificantDigits: 6 }).format(value)
}
