import { createRequire } from 'node:module'
import { widthOf, wrap } from './canvas.ts'
import { inkOf, type Look, paperOf } from './look.ts'
import { createRoughPlugin, type Spec } from './plot.ts'

interface Drawn {
  toBuffer(): Buffer
  destroy(): void
}

interface Library {
  createGraph(options: Spec): Promise<Drawn>
}

// It is one file for `require`, with a drawing engine of its own inside.
const { createGraph }: Library = createRequire(import.meta.url)('@antv/g6-ssr')

/** Nodes, edges and how to lay them out, in G6's terms: https://g6.antv.antgroup.com/en/manual/graph/option */
export interface Graph {
  readonly nodes: readonly Spec[]
  readonly edges: readonly Spec[]
  readonly options: Spec
}

/** Draws with G6 a PNG of `ratio` pixels per pixel of the look, the graph as large as has room. */
export async function drawGraph({ nodes, edges, options }: Graph, look: Look, ratio: number): Promise<Buffer> {
  const drawn = await createGraph({
    width: look.width,
    height: look.height,
    devicePixelRatio: ratio,
    background: paperOf(look),
    theme: look.theme === 'dark' ? 'dark' : 'light',
    padding: 20,
    autoFit: { type: 'view', options: { when: 'always' } },
    zoomRange: [0.02, 1.6],
    renderPlugins: look.style.texture === 'rough' ? [createRoughPlugin()] : [],
    ...options,
    data: { nodes, edges },
  })
  try {
    return drawn.toBuffer()
  } finally {
    drawn.destroy()
  }
}

const fontSize = 13
const lineHeight = 18

/** A box that is as large as its text needs, in lines of at most `width` pixels. */
export function box(text: string, paint: { fill: string; stroke: string; ink: string; width?: number }): Spec {
  const lines = wrap(text, { size: fontSize, width: paint.width ?? 150, lines: 4 })
  const width = Math.max(...lines.map((line) => widthOf(line, fontSize)))
  return {
    size: [Math.max(48, Math.ceil(width) + 24), lines.length * lineHeight + 16],
    radius: 6,
    fill: paint.fill,
    stroke: paint.stroke,
    lineWidth: 1.5,
    labelText: lines.join('\n'),
    labelPlacement: 'center',
    labelFill: paint.ink,
    labelFontSize: fontSize,
    labelLineHeight: lineHeight,
    labelTextAlign: 'center',
    labelTextBaseline: 'middle',
  }
}

/** The box of what all is about; where it is drawn by hand, its ground is hatched and could not bear pale words. */
export function headBox(text: string, look: Look): Spec {
  const [ink, paper] = [inkOf(look), paperOf(look)]
  const isRough = look.style.texture === 'rough'
  return {
    ...box(text, { fill: isRough ? paper : ink, stroke: ink, ink: isRough ? ink : paper, width: 130 }),
    labelFontWeight: 600,
  }
}

/** An edge's colour and, where it has a name, that name on the paper. */
export function edgeLook(look: Look, name = ''): Spec {
  const ink = inkOf(look)
  const label = {
    labelText: name,
    labelFill: ink,
    labelFontSize: 11,
    labelAutoRotate: false,
    labelBackground: true,
    labelBackgroundFill: paperOf(look),
  }
  return {
    stroke: ink,
    strokeOpacity: 0.45,
    lineWidth: 1.3,
    ...(name !== '' && label),
    labelBackgroundFillOpacity: 0.9,
    labelPadding: [1, 4],
  }
}
