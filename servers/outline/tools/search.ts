import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer } from '../../kit/tool.ts'
import { type Hit, Hits } from '../answers.ts'
import { collectionId, offset } from '../input.ts'
import type { Site } from '../site.ts'
import type { Wiki } from '../wiki.ts'
import { describeRange, oneLine, stateOf, titleOf } from '../wording.ts'

const status = z.enum(['published', 'draft', 'archived'])
/** Words as Outline is asked for; its own maximum is longer. */
const snippetWords = 30

export function addSearch(server: McpServer, wiki: Wiki, site: Site): void {
  const tool = {
    name: 'search_documents',
    title: 'Search documents',
    description:
      'Finds documents of the wiki by words in title and text, the best first, with the words around. Read one with read_document.',
    input: z.strictObject({
      query: z
        .string('give words to look for')
        .trim()
        .min(1, 'give words to look for')
        .max(500, 'at most 500 characters: a few words')
        .describe('Words to look for'),
      collection_id: collectionId.optional().describe('Only in this collection, as list_collections shows it'),
      limit: wholeNumber(1, 25).prefault(10).describe('How many'),
      offset: offset.prefault(0).describe('How many to leave out, to go on'),
      status: z
        .preprocess((given) => (typeof given === 'string' ? [given] : given), z.array(status).max(3))
        .optional()
        .describe('Only documents in these states; default all that Outline finds'),
    }),
    annotations: { idempotentHint: true },
  }
  addTool(server, tool, async (given, signal) => {
    const { query, limit, offset: start } = given
    const body = {
      query,
      limit,
      offset: start,
      snippetMaxWords: snippetWords,
      ...(given.collection_id === undefined ? {} : { collectionId: given.collection_id }),
      ...(given.status === undefined ? {} : { statusFilter: given.status }),
    }
    const meaning = { 403: 'There is no such collection that this server’s key may see; list_collections shows all.' }
    const found = await wiki.ask({ method: 'documents.search', body, answer: Hits, meaning }, signal)
    const { data, pagination } = found
    if (data.length === 0) return `Nothing${start > 0 ? ' more' : ''} found for "${query}".`
    const range = { offset: start, limit, found: data.length, total: pagination.total }
    return [describeRange(range), ...data.map((hit, index) => describe(hit, site, start + index + 1))].join('\n\n')
  })
}

/** Without the text: Outline sends all of it with each hit. */
function describe({ document, ranking, context }: Hit, site: Site, place: number): string {
  const snippet = oneLine((context ?? '').replaceAll(/<\/?b>/g, '')).slice(0, 400)
  const facts = [
    `id ${document.id}`,
    `urlId ${document.urlId}`,
    `updated ${document.updatedAt}`,
    ...(ranking === undefined ? [] : [`ranking ${ranking.toPrecision(2)}`]),
    ...stateOf(document),
  ]
  return [
    `${place}. ${titleOf(document)}`,
    site.link(document.url),
    facts.join(', '),
    ...(snippet === '' ? [] : [`… ${snippet} …`]),
  ].join('\n')
}
