import type { z } from 'zod'
import type * as inputs from '../input/diagrams.ts'
import type { Tree } from '../input/fields.ts'
import { box, edgeLook, type Graph, headBox } from './graph.ts'
import { colourAt, coloursOf, inkOf, type Look, paperOf } from './look.ts'
import type { Spec } from './plot.ts'

type Network = z.output<typeof inputs.network>

/** Ids of our own: the layouts keep them as keys of objects, where a name could be anything. */
function numbered({ data }: Network): { readonly ids: ReadonlyMap<string, string>; readonly edges: readonly Spec[] } {
  const ids = new Map(data.nodes.map(({ name }, index) => [name, `n${index}`] as const))
  const edges = data.edges.map(({ source, target, name }, index) => ({
    id: `e${index}`,
    source: ids.get(source) ?? '',
    target: ids.get(target) ?? '',
    data: { name },
  }))
  return { ids, edges }
}

export function flowDiagram(chart: Network): Graph {
  const { edges } = numbered(chart)
  const first = colourAt(coloursOf(chart), 0)
  const paint = { fill: tint(first, chart), stroke: first, ink: inkOf(chart) }
  const nodes = chart.data.nodes.map(({ name }, index) => ({ id: `n${index}`, style: box(name, paint) }))
  const { getWidth, getHeight } = sizesOf(nodes)
  return {
    nodes,
    edges: named(edges, chart, { endArrow: true, endArrowSize: 8, radius: 8 }),
    options: {
      node: { type: 'rect' },
      edge: { type: 'polyline' },
      layout: {
        type: 'antv-dagre',
        rankdir: chart.width > chart.height * 1.9 ? 'LR' : 'TB',
        nodesep: 20,
        ranksep: 14,
        controlPoints: true,
        nodeSize: (node: Identified) => [getWidth(node), getHeight(node)],
      },
    },
  }
}

export function networkGraph(chart: Network): Graph {
  const { ids, edges } = numbered(chart)
  const colours = coloursOf(chart)
  const degrees = new Map<string, number>()
  for (const { source, target } of chart.data.edges)
    for (const name of [source, target]) degrees.set(name, (degrees.get(name) ?? 0) + 1)
  const nodes = [...ids].map(([name, id], index) => {
    const fill = colourAt(colours, index)
    const size = 24 + Math.min(24, 4 * (degrees.get(name) ?? 0))
    const label = { labelText: name, labelPlacement: 'bottom', labelFill: inkOf(chart), labelFontSize: 13 }
    return { id, style: { size, fill, stroke: paperOf(chart), lineWidth: 2, ...label } }
  })
  return {
    nodes,
    edges: named(edges, chart, {}),
    options: {
      node: { type: 'circle' },
      edge: { type: 'line' },
      layout: {
        type: 'd3-force',
        link: { distance: 130 },
        manyBody: { strength: -600 },
        collide: { radius: 50 },
        iterations: 200,
      },
    },
  }
}

function named(edges: readonly Spec[], look: Look, extra: Spec): readonly Spec[] {
  return edges.map((edge) => ({ ...edge, style: { ...edgeLook(look, nameOf(edge)), ...extra } }))
}

function nameOf({ data }: Spec): string {
  return data instanceof Object && 'name' in data ? String(data.name) : ''
}

/** A pale form of a colour, as it looks on the paper. */
function tint(colour: string, { theme }: Look): string {
  return `${colour}${theme === 'dark' ? '40' : '1a'}`
}

/** A tree's node with an id of our own, its level and the branch that it is in. */
interface Placed {
  readonly id: string
  readonly node: Tree
  readonly depth: number
  readonly branch: number
  readonly parent?: string
}

function placed(root: Tree): readonly Placed[] {
  const found: Placed[] = []
  const walk = (node: Tree, at: Omit<Placed, 'node' | 'id'>) => {
    const id = `n${found.length}`
    found.push({ id, node, ...at })
    for (const [index, child] of node.children.entries())
      walk(child, { depth: at.depth + 1, branch: at.depth === 0 ? index : at.branch, parent: id })
  }
  walk(root, { depth: 0, branch: 0 })
  return found
}

function treeGraph(all: readonly Placed[], styles: { node: (one: Placed) => Spec; edge: (one: Placed) => Spec }) {
  const below = Map.groupBy(all, ({ parent }) => parent)
  const nodes = all.map((one) => ({
    id: one.id,
    children: (below.get(one.id) ?? []).map(({ id }) => id),
    data: { depth: one.depth },
    depth: one.depth,
    style: styles.node(one),
  }))
  const edges = all.flatMap((one) =>
    one.parent === undefined ? [] : [{ source: one.parent, target: one.id, style: styles.edge(one) }],
  )
  return { nodes, edges }
}

export function organizationChart(chart: z.output<typeof inputs.organization>): Graph {
  const all = placed(chart.data)
  const colours = coloursOf(chart)
  const across = chart.orient === 'horizontal'
  const node = ({ node: one, depth }: Placed) => {
    const stroke = colourAt(colours, depth)
    const text = one.description === undefined ? one.name : `${one.name}\n${one.description}`
    return { ...box(text, { fill: tint(stroke, chart), stroke, ink: inkOf(chart) }), ...ports(across) }
  }
  const edge = () => ({ ...edgeLook(chart), radius: 6, router: { type: 'orth' } })
  const graph = treeGraph(all, { node, edge })
  return {
    ...graph,
    options: {
      node: { type: 'rect' },
      edge: { type: 'polyline' },
      layout: {
        type: 'compact-box',
        direction: across ? 'LR' : 'TB',
        ...sizesOf(graph.nodes),
        getHGap: () => (across ? 28 : 10),
        getVGap: () => (across ? 6 : 22),
      },
    },
  }
}

function ports(across: boolean): Spec {
  return {
    ports: across ? [{ placement: 'left' }, { placement: 'right' }] : [{ placement: 'top' }, { placement: 'bottom' }],
  }
}

interface Identified {
  readonly id: string
}

/** How large the layouts of trees must think that nodes are. */
function sizesOf(nodes: readonly Spec[]) {
  const sizes = new Map(
    nodes.map(({ id, style }) => [id, style instanceof Object && 'size' in style ? style.size : []]),
  )
  const side =
    (which: 0 | 1, usual: number) =>
    ({ id }: Identified) => {
      const size = sizes.get(id)
      return Array.isArray(size) ? Number(size[which] ?? usual) : usual
    }
  return { getWidth: side(0, 100), getHeight: side(1, 32) }
}

export function mindMap(chart: z.output<typeof inputs.mindMap>): Graph {
  const colours = coloursOf(chart)
  const node = ({ node: one, depth, branch }: Placed) => {
    const colour = colourAt(colours, branch)
    if (depth === 0) return { ...headBox(one.name, chart), ...ports(true) }
    const fill = depth === 1 ? tint(colour, chart) : paperOf(chart)
    return { ...box(one.name, { fill, stroke: colour, ink: inkOf(chart) }), ...ports(true) }
  }
  const edge = ({ branch }: Placed) => ({ stroke: colourAt(colours, branch), lineWidth: 2 })
  const all = placed(chart.data)
  const graph = treeGraph(all, { node, edge })
  const branches = new Map(all.map(({ id, branch }) => [id, branch]))
  // The first half of the branches to the right, the others to the left.
  const right = Math.ceil(chart.data.children.length / 2)
  return {
    ...graph,
    options: {
      node: { type: 'rect' },
      edge: { type: 'cubic-horizontal' },
      layout: {
        type: 'mindmap',
        direction: 'H',
        ...sizesOf(graph.nodes),
        getHGap: () => 32,
        getVGap: () => 6,
        getSide: ({ id }: { id: string }) => ((branches.get(id) ?? 0) < right ? 'right' : 'left'),
      },
    },
  }
}

export function fishboneDiagram(chart: z.output<typeof inputs.mindMap>): Graph {
  const colours = coloursOf(chart)
  const ink = inkOf(chart)
  const node = ({ node: one, depth, branch }: Placed) => {
    const colour = colourAt(colours, branch)
    if (depth === 0) return headBox(one.name, chart)
    if (depth === 1) return box(one.name, { fill: tint(colour, chart), stroke: colour, ink, width: 130 })
    return { ...box(one.name, { fill: 'transparent', stroke: 'transparent', ink, width: 110 }) }
  }
  const edge = ({ depth, branch }: Placed) => ({
    stroke: colourAt(colours, branch),
    lineWidth: depth === 1 ? 3 : 1.5,
    type: 'polyline',
  })
  return {
    ...treeGraph(placed(chart.data), { node, edge }),
    options: {
      node: { type: 'rect' },
      edge: { type: 'polyline' },
      layout: { type: 'fishbone', direction: 'RL', hGap: 16, vGap: 30, getRibSep: () => 40 },
      transforms: ['arrange-draw-order'],
    },
  }
}
