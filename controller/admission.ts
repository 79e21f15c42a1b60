import { isCovered } from '#manifests/glob.ts'
import type { Grant, TableAgent } from '#manifests/table.ts'
import type { Agent } from './desired.ts'

type Agents = Readonly<Record<string, TableAgent>>

/**
 * The agents that a table may carry now: what `desired` takes away is gone at once, what it adds counts only for servers that
 * are `ready`. `before` is what the last table said.
 */
export function admit(before: Agents, desired: Readonly<Record<string, Agent>>, ready: ReadonlySet<string>): Agents {
  return Object.fromEntries(
    Object.entries(desired).map(([name, agent]) => [name, admitAgent(before[name], agent, ready)] as const),
  )
}

/** What an agent is allowed by, in a commit and in a table alike. */
interface Access {
  readonly hashes: readonly string[]
  readonly expires?: string | undefined
  readonly grants: Readonly<Record<string, Grant>>
}

/** What is left of `before` when a commit that may add nothing takes away what `desired` lacks. */
export function narrow<T extends Access>(
  before: Readonly<Record<string, T>>,
  desired: Readonly<Record<string, Access>>,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(before).flatMap(([name, agent]) => {
      const wanted = desired[name]
      return wanted === undefined ? [] : [[name, { ...agent, ...narrowAccess(agent, wanted) }] as const]
    }),
  )
}

function admitAgent(before: TableAgent | undefined, agent: Agent, ready: ReadonlySet<string>): TableAgent {
  const grants: Record<string, Grant> = {}
  for (const [server, wanted] of Object.entries(agent.grants)) {
    const had = before?.grants[server]
    if (ready.has(server)) grants[server] = wanted
    else if (had !== undefined) grants[server] = meet(had, wanted)
  }
  return { hashes: [...agent.hashes], ...expiry(agent.expires), grants }
}

function narrowAccess(before: Access, wanted: Access) {
  const grants: Record<string, Grant> = {}
  for (const [server, had] of Object.entries(before.grants)) {
    const now = wanted.grants[server]
    if (now !== undefined) grants[server] = meet(had, now)
  }
  const hashes = before.hashes.filter((hash) => wanted.hashes.includes(hash))
  return { hashes, ...expiry(earlier(before.expires, wanted.expires)), grants }
}

function expiry(expires: string | undefined): { expires?: string } {
  return expires === undefined ? {} : { expires }
}

function earlier(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}

/** What both allow; where two globs merely overlap, neither. */
export function meet(a: Grant, b: Grant): Grant {
  return {
    tools: meetGlobs(a.tools, b.tools),
    prompts: meetGlobs(a.prompts, b.prompts),
    resources: meetGlobs(a.resources, b.resources),
  }
}

function meetGlobs(a: readonly string[], b: readonly string[]): string[] {
  const both = [...a.filter((glob) => isCovered(glob, b)), ...b.filter((glob) => isCovered(glob, a))]
  return [...new Set(both)].sort()
}

/** One agent's loss or gain of one server, or of a part of it. */
export interface GrantChange {
  readonly agent: string
  readonly kind: 'grant' | 'revoke'
  readonly because: string
}

/** Who gains and loses what between two sets of agents, sorted by agent, losses first. */
export function grantChanges(before: Agents, after: Readonly<Record<string, Agent>>): readonly GrantChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
  return names.flatMap((agent) => agentChanges(agent, before[agent], after[agent]))
}

function agentChanges(agent: string, before: TableAgent | undefined, after: Agent | undefined): GrantChange[] {
  const revoke = (because: string): GrantChange => ({ agent, kind: 'revoke', because })
  const grant = (because: string): GrantChange => ({ agent, kind: 'grant', because })
  if (after === undefined) return [revoke('loses every server: no longer in permissions.yaml')]
  const tokens = before === undefined ? [] : tokenChanges(before, after)
  const servers = [...new Set([...Object.keys(before?.grants ?? {}), ...Object.keys(after.grants)])].sort()
  const changes = servers.flatMap((server) => {
    const had = before?.grants[server]
    const has = after.grants[server]
    if (has === undefined) return [revoke(`loses ${server}`)]
    const through = after.through.includes(server) ? ' through *' : ''
    if (had === undefined) return [grant(`gains ${server}${part(has)}${through}`)]
    if (JSON.stringify(had) === JSON.stringify(has)) return []
    const narrower = JSON.stringify(meet(had, has)) === JSON.stringify(sorted(has))
    return [narrower ? revoke(`keeps of ${server} only${part(has)}`) : grant(`gains of ${server}${part(has)}`)]
  })
  return [...tokens.map(revokeOrGrant), ...changes].sort(
    (a, b) => Number(a.kind === 'grant') - Number(b.kind === 'grant'),
  )

  function revokeOrGrant({ kind, because }: Omit<GrantChange, 'agent'>): GrantChange {
    return kind === 'revoke' ? revoke(because) : grant(because)
  }
}

function tokenChanges(before: TableAgent, after: Agent): Omit<GrantChange, 'agent'>[] {
  const gone = before.hashes.filter((hash) => !after.hashes.includes(hash)).length
  const added = after.hashes.filter((hash) => !before.hashes.includes(hash)).length
  const changes: Omit<GrantChange, 'agent'>[] = []
  if (gone > 0) changes.push({ kind: 'revoke', because: `loses ${gone === 1 ? 'a token' : `${gone} tokens`}` })
  if (added > 0) changes.push({ kind: 'grant', because: `gains ${added === 1 ? 'a token' : `${added} tokens`}` })
  if (before.expires !== after.expires) {
    const sooner = earlier(before.expires, after.expires) === after.expires && after.expires !== undefined
    changes.push({
      kind: sooner ? 'revoke' : 'grant',
      because: after.expires ? `expires ${after.expires}` : 'no longer expires',
    })
  }
  return changes
}

function part(grant: Grant): string {
  const whole = (globs: readonly string[]) => globs.includes('*')
  if (whole(grant.tools) && whole(grant.prompts) && whole(grant.resources)) return ''
  const named = (kind: string, globs: readonly string[]) => (globs.length === 0 ? [] : [`${kind} ${globs.join(' ')}`])
  const parts = [
    ...named('tools', grant.tools),
    ...named('prompts', grant.prompts),
    ...named('resources', grant.resources),
  ]
  return `: ${parts.join(', ') || 'nothing'}`
}

function sorted(grant: Grant): Grant {
  return { tools: [...grant.tools].sort(), prompts: [...grant.prompts].sort(), resources: [...grant.resources].sort() }
}
