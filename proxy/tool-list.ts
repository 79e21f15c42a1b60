import { hash } from 'node:crypto'
import type { Definition } from '#manifests/definition.ts'
import { type Asked, notGood } from './asked.ts'
import { type Entry, entriesIn, toolListing } from './listing.ts'
import { isRecord } from './message.ts'
import { type ParamHeader, paramHeadersOf } from './params.ts'
import { readDefinition, toolTexts } from './pinning.ts'

/** Pages of a list that are asked for. */
export const pageLimit = 64

export interface ToolList {
  readonly tools: readonly string[]
  /** Of its tools; the same object as long as they are the same. */
  readonly definitions: readonly Definition[]
  /** Hash of the texts of its lists. */
  readonly written: string
  readonly listed: readonly Entry[]
  /** Of the tools that have any. */
  readonly params: ReadonlyMap<string, readonly ParamHeader[]>
}

/** All pages of a server's tools; throws where an answer is not good. */
export async function listTools(
  list: (params: object) => Promise<Asked>,
  declared: boolean,
  known: ToolList | undefined,
): Promise<ToolList> {
  const found: Readonly<Record<string, unknown>>[] = []
  const pages: string[] = []
  let params: object | undefined = {}
  for (let page = 0; page < pageLimit && params !== undefined; page++) {
    const answer = await list(params)
    const { message } = answer
    if (!declared && isRecord(message?.error) && message.error.code === -32601) break
    if (!isRecord(message?.result) || !Array.isArray(message.result.tools)) throw notGood('tools/list', answer)
    found.push(...message.result.tools.filter(isRecord))
    pages.push(answer.said)
    const { nextCursor } = message.result
    params = typeof nextCursor === 'string' ? { cursor: nextCursor } : undefined
  }
  const headers = found.map(({ name, inputSchema }) => [String(name), paramHeadersOf(inputSchema)] as const)
  return {
    tools: found.map(({ name }) => String(name)),
    listed: entriesIn(toolListing, found),
    params: new Map(headers.filter(([, declared]) => declared.length > 0)),
    ...defined(pages, known),
  }
}

/** Reading definitions costs more than seeing that they are the same. */
function defined(pages: readonly string[], known: ToolList | undefined): Pick<ToolList, 'definitions' | 'written'> {
  const written = hash('sha256', pages.join('\n'))
  if (known?.written === written) return { written, definitions: known.definitions }
  const definitions = pages.flatMap(toolTexts).flatMap((text) => readDefinition(text) ?? [])
  const before = known?.definitions
  return { written, definitions: isSame(before, definitions) ? before : definitions }
}

function isSame(
  before: readonly Definition[] | undefined,
  after: readonly Definition[],
): before is readonly Definition[] {
  return before?.length === after.length && after.every(({ hash }, index) => hash === before[index]?.hash)
}
