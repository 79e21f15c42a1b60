import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer, ToolFailure } from '../../kit/tool.ts'
import { OneDocument } from '../answers.ts'
import { findDocument } from '../find.ts'
import { documentId, markdown } from '../input.ts'
import { Refused } from '../meaning.ts'
import type { Site } from '../site.ts'
import type { Wiki } from '../wiki.ts'
import { titleOf } from '../wording.ts'

const input = z.strictObject({
  id: documentId,
  mode: z
    .enum(['append', 'prepend', 'replace', 'patch'])
    .describe(
      'append and prepend add text (to the last or first paragraph, unless an empty line parts them), patch replaces the first find_text by it, replace the whole document',
    ),
  text: markdown.describe('Markdown. To remove a passage, patch a longer one by what stays of it'),
  find_text: z.string().max(100_000).optional().describe('For patch: a passage exactly as read_document shows it'),
  last_revision: wholeNumber(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The revision that you read; nothing is changed if there is a newer one'),
})

export function addUpdate(server: McpServer, wiki: Wiki, site: Site): void {
  const tool = {
    name: 'update_document',
    title: 'Change a document',
    description:
      'Adds to a document, or replaces a passage or all of it, and answers with the new revision. Read it first and give its revision, so that nobody’s change is lost.',
    input,
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false },
  }
  addTool(server, tool, (given, signal) => update(given, { wiki, site }, signal))
}

interface Around {
  readonly wiki: Wiki
  readonly site: Site
}

async function update(given: z.infer<typeof input>, { wiki, site }: Around, signal: AbortSignal): Promise<string> {
  const { mode, text, find_text: findText, last_revision: lastRevision } = given
  const isPatch = mode === 'patch'
  if (isPatch && findText === undefined) throw new ToolFailure('Mode patch needs find_text: the passage to replace.')
  if (!isPatch && findText !== undefined) throw new ToolFailure(`find_text is for mode patch, and this is ${mode}.`)
  const id = site.documentId(given.id)
  const body = {
    id,
    text,
    editMode: mode,
    ...(findText === undefined ? {} : { findText }),
    ...(lastRevision === undefined ? {} : { lastRevision }),
  }
  const meaning = {
    403: 'There is no such document that this server’s key may change.',
    404: 'There is no such document that this server’s key may change.',
    409: `The document was changed since revision ${lastRevision}: read it again, and make your change to what it says now.`,
  }
  try {
    const { data } = await wiki.ask({ method: 'documents.update', body, answer: OneDocument, meaning }, signal)
    return `Changed "${titleOf(data)}", now revision ${data.revision}: ${site.link(data.url)}`
  } catch (error) {
    // Outline refuses to change what is deleted and does not say that this is why: reading it does.
    if (error instanceof Refused && [403, 404].includes(error.status)) await findDocument(wiki, id, signal)
    throw error
  }
}
