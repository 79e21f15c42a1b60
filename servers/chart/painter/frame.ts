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
    children: marks.children.map((mark) => ({ ...mark, animate: false })),
    scale: { color: { range: coloursOf(chart, chart.style.palette) }, ...scaleOf(marks) },
    axis: {
      x: { ...axisLook(ink), title: chart.axisXTitle || false },
      y: { ...axisLook(ink), title: chart.axisYTitle || false },
    },
    legend: {
      color: {
        position: 'top',
        itemMarker: 'circle',
        itemMarkerSize: 9,
        itemLabelFontSize: 12,
        itemLabelFill: ink,
        itemLabelFillOpacity: 0.9,
      },
    },
    ...(marks.axis === undefined ? {} : { axis: marks.axis }),
    ...(marks.legend === undefined ? {} : { legend: marks.legend }),
  }
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
