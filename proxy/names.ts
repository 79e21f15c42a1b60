import { hash } from 'node:crypto'

/** Leaves room for what clients put in front of a name. */
const target = 48
/** What model APIs take at most. */
const hardLimit = 64
const separator = '__'
const mark = 7

/** Every name of a server's tools on the joint endpoint begins with this. */
export function leadOf(prefix: string): string {
  return prefix === '' ? '' : prefix + separator
}

/**
 * The name of a tool on the joint endpoint: `<prefix>__<tool>` in letters that every model API takes. A name that had to be changed or
 * cut ends in six hex digits of the hash of the original, so that it stays the same and its own.
 */
export function jointName(prefix: string, tool: string): string {
  const lead = leadOf(prefix)
  const clean = tool.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  const room = Math.min(Math.max(target, lead.length + 2 * mark), hardLimit) - lead.length
  if (clean === tool && tool.length <= room) return lead + tool
  return `${lead}${clean.slice(0, room - mark)}_${hash('sha256', tool).slice(0, mark - 1)}`
}

const maps = new WeakMap<readonly string[], Map<string, ReadonlyMap<string, string>>>()

/** The tools of one server by their joint names; of two that would be called alike, the first. */
export function originals(prefix: string, tools: readonly string[]): ReadonlyMap<string, string> {
  const known = maps.get(tools) ?? new Map<string, ReadonlyMap<string, string>>()
  maps.set(tools, known)
  const made = known.get(prefix) ?? new Map(tools.toReversed().map((tool) => [jointName(prefix, tool), tool]))
  known.set(prefix, made)
  return made
}
