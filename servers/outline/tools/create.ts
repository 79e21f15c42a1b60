import { z } from 'zod'
import { yesNo } from '../../kit/input.ts'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import { OneDocument } from '../answers.ts'
import { collectionId, markdown, uuid } from '../input.ts'
import type { Site } from '../site.ts'
import type { Wiki } from '../wiki.ts'
import { stateOf, titleOf } from '../wording.ts'

const mostTitle = 100

export function addCreate(server: McpServer, wiki: Wiki, site: Site): void {
  const tool = {
    name: 'create_document',
    title: 'Create a document',
    description:
      'Writes a new document into a collection or below another document, and answers with its address and id.',
    input: z.strictObject({
      title: z
        .string('give a title')
        .trim()
        .min(1, 'give a title')
        // As Outline counts: an emoji is one.
        .refine((title) => [...title].length <= mostTitle, `at most ${mostTitle} characters`)
        .describe(`At most ${mostTitle} characters`),
      text: markdown.describe('Its Markdown, without the title'),
      collection_id: collectionId.optional().describe('The collection it goes to, as list_collections shows it'),
      parent_document_id: z
        .string()
        .trim()
        .regex(uuid, 'give the parent’s id, a UUID, as read_document shows it')
        .optional()
        .describe('The document it goes below, instead'),
      publish: yesNo.prefault(true).describe('false keeps it a draft'),
    }),
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false },
  }
  addTool(server, tool, async (given, signal) => {
    const { title, text, publish, collection_id: collection, parent_document_id: parent } = given
    if (publish && collection === undefined && parent === undefined)
      throw new ToolFailure('To publish it, give collection_id or parent_document_id; or publish=false, for a draft.')
    const body = {
      title,
      text,
      publish,
      ...(collection === undefined ? {} : { collectionId: collection }),
      ...(parent === undefined ? {} : { parentDocumentId: parent }),
    }
    const nowhere =
      'There is no such collection or parent document that this server’s key may write to; list_collections shows the collections.'
    const meaning = { 403: nowhere, 404: nowhere }
    const { data } = await wiki.ask({ method: 'documents.create', body, answer: OneDocument, meaning }, signal)
    const facts = [`id ${data.id}`, `revision ${data.revision}`, ...stateOf(data)].join(', ')
    return `Created "${titleOf(data)}": ${site.link(data.url)}\n${facts}`
  })
}
