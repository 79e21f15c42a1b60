import { z } from 'zod'
import { label, list, record, size, staffTree, style, texture, theme, tree } from './fields.ts'

const frame = { style: style(z.object({ texture }).prefault({})), theme, ...size }

const edge = z.object({ source: label, target: label, name: label.default('') }, 'give an object')

const graph = record({
  nodes: list(z.object({ name: label }, 'give an object')),
  edges: z.array(edge).default([]),
}).superRefine(({ nodes, edges }, context) => {
  const names = new Set<string>()
  for (const [index, { name }] of nodes.entries()) {
    if (names.has(name))
      context.addIssue({ code: 'custom', path: ['nodes', index], message: `"${name}" is there twice` })
    names.add(name)
  }
  for (const [index, { source, target }] of edges.entries())
    for (const name of [source, target])
      if (!names.has(name))
        context.addIssue({ code: 'custom', path: ['edges', index], message: `there is no node "${name}"` })
})

export const network = z.object({ data: graph, ...frame })

export const mindMap = z.object({ data: tree, ...frame })

export const organization = z.object({
  data: staffTree,
  orient: z.enum(['horizontal', 'vertical']).default('vertical'),
  ...frame,
})
