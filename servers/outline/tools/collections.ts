import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer } from '../../kit/tool.ts'
import { type Branch, type Collection, Collections, Tree } from '../answers.ts'
import { collectionId, offset } from '../input.ts'
import type { Site } from '../site.ts'
import type { Wiki } from '../wiki.ts'
import { describeRange, oneLine, titleOf } from '../wording.ts'

export function addCollections(server: McpServer, wiki: Wiki, site: Site): void {
  addListCollections(server, wiki)
  addListDocuments(server, wiki, site)
}

function addListCollections(server: McpServer, wiki: Wiki): void {
  const tool = {
    name: 'list_collections',
    title: 'List collections',
    description: 'The collections of the wiki, with their ids: what documents are kept in.',
    input: z.strictObject({
      query: z.string().trim().max(200).optional().describe('Part of the name'),
      limit: wholeNumber(1, 100).prefault(25).describe('How many'),
      offset: offset.prefault(0).describe('How many to leave out, to go on'),
    }),
    annotations: { idempotentHint: true },
  }
  addTool(server, tool, async ({ query, limit, offset: start }, signal) => {
    const body = { limit, offset: start, ...(query === undefined ? {} : { query }) }
    const { data, pagination } = await wiki.ask({ method: 'collections.list', body, answer: Collections }, signal)
    if (data.length === 0) return `No${start > 0 ? ' more' : ''} collections${query ? ` named "${query}"` : ''}.`
    const range = { offset: start, limit, found: data.length, total: pagination.total }
    return [describeRange(range), ...data.map(describe)].join('\n')
  })
}

function describe({ id, name, description, archivedAt }: Collection): string {
  const about = oneLine(description ?? '').slice(0, 200)
  return `- ${oneLine(name)} (id ${id})${archivedAt ? `, archived ${archivedAt}` : ''}${about === '' ? '' : `: ${about}`}`
}

function addListDocuments(server: McpServer, wiki: Wiki, site: Site): void {
  const tool = {
    name: 'list_collection_documents',
    title: 'List a collection’s documents',
    description:
      'The published documents of a collection as a tree of titles and ids; those below another stand indented below it.',
    input: z.strictObject({
      collection_id: collectionId.describe('As list_collections shows it'),
      limit: wholeNumber(1, 1_000).prefault(200).describe('How many'),
      offset: offset.prefault(0).describe('How many to leave out, to go on'),
    }),
    annotations: { idempotentHint: true },
  }
  addTool(server, tool, async ({ collection_id: id, limit, offset: start }, signal) => {
    const unknown = 'There is no such collection that this server’s key may see; list_collections shows all.'
    const meaning = { 403: unknown, 404: unknown }
    const question = { method: 'collections.documents', body: { id }, answer: Tree, meaning }
    const rows = rowsOf((await wiki.ask(question, signal)).data ?? [], site)
    const shown = rows.slice(start, start + limit)
    if (shown.length === 0) return rows.length === 0 ? 'No documents.' : `No more documents: there are ${rows.length}.`
    return [describeRange({ offset: start, limit, found: shown.length, total: rows.length }), ...shown].join('\n')
  })
}

/** Depth first, without recursion: nobody says how deep people nest. */
function rowsOf(roots: readonly Branch[], site: Site): readonly string[] {
  const rows: string[] = []
  const open = roots.map((branch) => ({ branch, depth: 0 })).reverse()
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { branch, depth } = next
    rows.push(`${'  '.repeat(depth)}- ${titleOf(branch)} (id ${branch.id}) ${site.link(branch.url)}`)
    open.push(...branch.children.map((child) => ({ branch: child, depth: depth + 1 })).reverse())
  }
  return rows
}
