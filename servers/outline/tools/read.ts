import { z } from 'zod'
import { wholeNumber } from '../../kit/input.ts'
import { addTool, type McpServer } from '../../kit/tool.ts'
import type { Document } from '../answers.ts'
import { findDocument } from '../find.ts'
import { documentId } from '../input.ts'
import { cutPage } from '../page.ts'
import type { Site } from '../site.ts'
import type { Wiki } from '../wiki.ts'
import { stateOf, titleOf } from '../wording.ts'

export function addRead(server: McpServer, wiki: Wiki, site: Site): void {
  const tool = {
    name: 'read_document',
    title: 'Read a document',
    description:
      'The Markdown of one document with its address and revision. A long one comes in pages; the end of each says how to go on.',
    input: z.strictObject({
      id: documentId,
      offset_line: wholeNumber(1, 10_000_000).prefault(1).describe('The first line to show, from 1'),
      offset_char: wholeNumber(0, 10_000_000)
        .prefault(0)
        .describe('Characters of that line to leave out, for lines longer than a page'),
      max_chars: wholeNumber(500, 200_000).prefault(20_000).describe('Characters of a page'),
    }),
    annotations: { idempotentHint: true },
  }
  addTool(server, tool, async (given, signal) => {
    const document = await findDocument(wiki, site.documentId(given.id), signal)
    const from = { line: given.offset_line, character: given.offset_char }
    const { text, last, lines, next } = cutPage(document.text, from, given.max_chars)
    const shown = next === undefined && from.line === 1 && from.character === 0 ? '' : `lines ${from.line}–${last} of `
    const size = `${shown}${lines} line${lines === 1 ? '' : 's'}`
    return [describe(document, site, size), text, ...(next === undefined ? [] : [describeNext(next)])].join('\n\n')
  })
}

function describe(document: Document, site: Site, size: string): string {
  const { id, revision, updatedAt, updatedBy } = document
  const by = updatedBy ? ` by ${updatedBy.name}` : ''
  const facts = [`id ${id}`, `revision ${revision}`, `updated ${updatedAt}${by}`, size, ...stateOf(document)]
  return [`# ${titleOf(document)}`, site.link(document.url), facts.join(', '), '---'].join('\n')
}

function describeNext({ line, character }: { readonly line: number; readonly character: number }): string {
  return `---\nCut here. Read on with offset_line=${line}${character > 0 ? ` and offset_char=${character}` : ''}.`
}
