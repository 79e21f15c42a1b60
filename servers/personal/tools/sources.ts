import { z } from 'zod'
import type { McpServer } from '../../kit/tool.ts'
import type { Source } from '../source.ts'
import { addQuestion, type Desk } from './desk.ts'
import { flatten, markdownTable } from './table.ts'

const mostRows = 200
const mostFaults = 50

export function addDataSources(server: McpServer, desk: Desk): void {
  const question = {
    name: 'data_sources',
    title: 'List what there is',
    description:
      'Every export that answers come from: what it is, how many rows, from when to when, how fresh; and what could not be read, with the reason.',
    input: z.strictObject({}),
  }
  addQuestion(server, desk, question, () => describe(desk))
}

function describe({ library }: Desk): string {
  const { zone } = library
  const sources = library.sources()
  const known = sources.filter(({ format }) => format !== undefined)
  const rows = known.slice(0, mostRows).map((source) => {
    const { path, format = '', rows: count, first = '', last = '', changed } = source
    return [path, format, String(count), first, last, zone.timeOf(changed / 1000), stateOf(source)]
  })
  const faults = [...library.faults(), ...sources.filter(({ format }) => format === undefined).flatMap(faultOf)]
  const other = sources.filter(({ format, fault }) => format === undefined && fault === undefined).length
  const columns = ['File', 'Export', 'Rows', 'First', 'Last', 'Changed', 'State']
  return [
    `${known.length} exports in the folder, days and times in ${zone.name}.`,
    ...(known.length > 0 ? [markdownTable(columns, rows)] : []),
    ...(known.length > mostRows ? [`And ${known.length - mostRows} more exports.`] : []),
    ...(faults.length > 0 ? [`Not read:\n${listed(faults)}`] : []),
    ...(other > 0 ? [`${other} other files are no exports.`] : []),
  ].join('\n\n')
}

function stateOf({ fault, unusable, why = '' }: Source): string {
  if (fault !== undefined) return `the last change could not be read, what was read before is served: ${fault}`
  return unusable === 0 ? 'ok' : `ok but for ${unusable} lines, the first with ${why}`
}

function faultOf({ path, fault }: Source): readonly string[] {
  return fault === undefined ? [] : [`${path}: ${fault}`]
}

function listed(faults: readonly string[]): string {
  const shown = faults.slice(0, mostFaults).map((fault) => `- ${flatten(fault)}`)
  return [...shown, ...(faults.length > mostFaults ? [`- and ${faults.length - mostFaults} more`] : [])].join('\n')
}
