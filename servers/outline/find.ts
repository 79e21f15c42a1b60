import { ToolFailure } from '../kit/tool.ts'
import { type Document, OneDocument } from './answers.ts'
import type { Wiki } from './wiki.ts'
import { titleOf } from './wording.ts'

const unknown = 'There is no such document that this server’s key may see; search_documents finds those there are.'

/** A document by what Outline takes for its id. @throws ToolFailure also for one that is in the trash. */
export async function findDocument(wiki: Wiki, id: string, signal: AbortSignal): Promise<Document> {
  const question = {
    method: 'documents.info',
    body: { id },
    answer: OneDocument,
    meaning: { 403: unknown, 404: unknown },
  }
  const { data } = await wiki.ask(question, signal)
  if (!data.deletedAt) return data
  throw new ToolFailure(
    `"${titleOf(data)}" was deleted ${data.deletedAt}. It is in Outline’s trash, from where people can restore it.`,
  )
}
