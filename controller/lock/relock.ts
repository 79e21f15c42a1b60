import { type Definition, definitionOf, hashOf, partsOf } from '#manifests/definition.ts'
import { type ListedServer, LockedTool, type LockFile } from '#manifests/lock.ts'
import { differing } from '../tool-drift.ts'

/** A lock brought up to date, and what that changes. */
export interface Relocked {
  readonly lock: LockFile
  /** A line for each tool. */
  readonly changes: readonly string[]
  /** What could not be locked, a line each. */
  readonly problems: readonly string[]
}

/**
 * The lock with the tools that servers have now. A server that does not say keeps what it had; one that `known` lacks is dropped.
 * What was allowed of a tool is as long as the tool is the same. Pure.
 */
export function relock(before: LockFile, listed: readonly ListedServer[], known: ReadonlySet<string>): Relocked {
  const said = listed.filter(({ server }) => known.has(server))
  const fresh = said.flatMap(({ server, tools }) =>
    tools === undefined ? [] : [lockServer(server, tools, toolsOf(before, server))],
  )
  const kept = Object.entries(before).filter(
    ([server]) => known.has(server) && !fresh.some((one) => one.server === server),
  )
  const dropped = Object.keys(before).filter((server) => !known.has(server))
  return {
    lock: Object.fromEntries([
      ...kept,
      ...fresh.map(({ server, tools }) => [server, Object.fromEntries(tools)] as const),
    ]),
    changes: [
      ...fresh.flatMap(({ server, tools }) => changesOf(server, toolsOf(before, server), tools)),
      ...dropped.map((server) => `${server}  dropped: this folder has no such server`),
    ],
    problems: [
      ...said.flatMap(({ server, error }) => (error === undefined ? [] : [`${server}: ${error}; it stays as it was`])),
      ...fresh.flatMap(({ problems }) => problems),
    ],
  }
}

type Tools = ReadonlyMap<string, LockedTool>

function toolsOf(lock: LockFile, server: string): Tools {
  return new Map(Object.entries(lock[server] ?? {}))
}

function lockServer(server: string, definitions: readonly Definition[], before: Tools) {
  const all = definitions.map((definition) => ({ definition, tool: lockTool(definition, before.get(definition.name)) }))
  return {
    server,
    tools: new Map(
      all.flatMap(({ definition, tool }) => (tool === undefined ? [] : [[definition.name, tool] as const])),
    ),
    problems: all.flatMap(({ definition: { name }, tool }) =>
      tool === undefined
        ? [`${server}: the definition of ${JSON.stringify(name)} is not one of MCP, and cannot be locked`]
        : [],
    ),
  }
}

function lockTool(definition: Definition, before: LockedTool | undefined): LockedTool | undefined {
  const { hash, text } = definition
  const allow = before?.hash === hash && before.allow !== undefined ? { allow: before.allow } : {}
  if (hash !== hashOf(text)) return undefined
  return LockedTool.safeParse({ hash, ...allow, ...partsOf(definition) }).data
}

function changesOf(server: string, before: Tools, after: Tools): readonly string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  return names.flatMap((name) => {
    const change = changeOf(name, before.get(name), after.get(name))
    return change === undefined ? [] : [`${server}  ${name}  ${change}`]
  })
}

function changeOf(name: string, before: LockedTool | undefined, after: LockedTool | undefined): string | undefined {
  if (before === undefined) return 'new'
  if (after === undefined) return 'gone'
  if (before.hash === after.hash) return undefined
  const [was, is] = [before, after].map((tool) => partsOf(definitionOf(name, tool)))
  return `changed: ${differing(was ?? {}, is ?? {}).join(', ') || 'its hash'}`
}
