import { z } from 'zod'
import { addTool, type McpServer } from '../../kit/tool.ts'
import type { Entry } from '../entry.ts'
import type { Content, Shelf } from '../shelf.ts'
import { markdownTable } from '../text.ts'

const mostFaults = 30

/** Demanded by the licence of what is marked `srd`. */
const attribution51 =
  'This work includes material from the System Reference Document 5.1 ("SRD 5.1") by Wizards of the Coast LLC. ' +
  'The SRD 5.1 is licensed under the Creative Commons Attribution 4.0 International License, ' +
  'https://creativecommons.org/licenses/by/4.0/legalcode.'
const attribution52 = attribution51.replaceAll('5.1', '5.2')

export function addListSources(server: McpServer, shelf: Shelf): void {
  const tool = {
    name: 'list_sources',
    title: 'List what is loaded',
    description: 'The books that can be searched, how much is in each, their licence, and data that could not be read.',
    input: z.strictObject({}),
  }
  addTool(server, tool, () => describeSources(shelf.content(), shelf.edition))
}

function describeSources({ library }: Content, edition: Shelf['edition']): string {
  const { entries, books, faults, version } = library
  const bySource = Map.groupBy(entries, (entry) => entry.source)
  const rows = [...bySource].map(([source, own]) => {
    const book = books.get(source)
    return [source, book?.name ?? '', book?.published ?? '', String(own.length), counts(own)]
  })
  const data = version === undefined ? '' : `, data version ${version}`
  const shown = faults.slice(0, mostFaults).map((fault) => `- ${fault}`)
  const hidden = faults.length > mostFaults ? [`- and ${faults.length - mostFaults} more`] : []
  return [
    `${entries.length} entries in ${bySource.size} ${bySource.size === 1 ? 'source' : 'sources'}${data}; looks at ${edition === 'any' ? 'all rules' : `the ${edition} rules`} unless told otherwise.`,
    markdownTable(['Source', 'Name', 'Published', 'Entries', 'Of which'], rows),
    ...(faults.length > 0 ? [`Not loaded, or only in part:\n${[...shown, ...hidden].join('\n')}`] : []),
    ...licences(entries),
  ].join('\n\n')
}

function counts(entries: readonly Entry[]): string {
  const byKind = Map.groupBy(entries, (entry) => entry.kind)
  return [...byKind].map(([kind, own]) => `${kind} ${own.length}`).join(', ')
}

function licences(entries: readonly Entry[]): readonly string[] {
  return [
    ...(entries.some(({ raw }) => raw.srd) ? [attribution51] : []),
    ...(entries.some(({ raw }) => raw.srd52) ? [attribution52] : []),
    'What else the operator has loaded belongs to its publishers.',
  ]
}
