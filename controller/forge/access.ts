import { isCovered } from '#manifests/glob.ts'
import type { Grant } from '#manifests/table.ts'
import type { Agent, Desired, Settings } from '../desired.ts'
import { gainedSecrets } from '../widening.ts'

/** What a server's tools are called, by server, as far as one that runs has told. */
export type KnownTools = ReadonlyMap<string, readonly string[]>

/** What somebody may do that they could not, or may no longer. */
export interface AccessChange {
  readonly kind: 'gains' | 'loses'
  readonly agent: string
  /** `agent-b gains 5etools (all tools)` */
  readonly text: string
}

type Agents = Readonly<Record<string, Agent>>

const nothing: Grant = { tools: [], prompts: [], resources: [] }
const shown = 30

/** Who gains and loses what between two commits, by agent and server, gains first. Pure. */
export function accessChanges(before: Agents, after: Agents, known: KnownTools): readonly AccessChange[] {
  const names = union(Object.keys(before), Object.keys(after))
  return names.flatMap((agent) => {
    const had = before[agent]
    const has = after[agent]
    const servers = union(Object.keys(had?.grants ?? {}), Object.keys(has?.grants ?? {}))
    const changes = servers.flatMap((server) => {
      const grants = { had: had?.grants[server] ?? nothing, has: has?.grants[server] ?? nothing }
      const through = has?.through.includes(server) ? ', through *' : ''
      return serverChanges(server, grants, { tools: known.get(server), through })
    })
    return changes.map(({ kind, what }): AccessChange => ({ kind, agent, text: `${agent} ${kind} ${what}` }))
  })
}

interface Ends {
  readonly had: Grant
  readonly has: Grant
}

interface Seen {
  readonly tools: readonly string[] | undefined
  readonly through: string
}

function serverChanges(server: string, { had, has }: Ends, { tools, through }: Seen) {
  const gained = difference(had, has, tools)
  const lost = difference(has, had, tools)
  const say = (kind: AccessChange['kind'], parts: readonly string[], more: string) =>
    parts.length === 0 ? [] : [{ kind, what: wordsOf(server, parts, more) }]
  return [...say('gains', gained, through), ...say('loses', lost, '')]
}

function wordsOf(server: string, parts: readonly string[], more: string): string {
  const [first = ''] = parts
  return parts.length === 1 && first.startsWith('(')
    ? `${server} ${first.replace(/\)$/, `${more})`)}`
    : `${server}: ${parts.join('; ')}${more}`
}

/** What `to` allows that `from` does not, in words. */
function difference(from: Grant, to: Grant, known: readonly string[] | undefined): readonly string[] {
  const open = (kind: 'prompts' | 'resources') => to[kind].filter((glob) => !isCovered(glob, from[kind]))
  const other = (['prompts', 'resources'] as const).flatMap((kind) => {
    const globs = open(kind)
    return globs.length === 0 ? [] : [globs.includes('*') ? `all ${kind}` : `${kind} ${few(globs)}`]
  })
  const globs = to.tools.filter((glob) => !isCovered(glob, from.tools))
  const named = (known ?? []).filter((tool) => isCovered(tool, to.tools) && !isCovered(tool, from.tools)).sort()
  const tools = toolWords({ globs, named, isKnown: known !== undefined, isRest: from.tools.length > 0 })
  if (globs.includes('*') && other.length > 0 && other.every((one) => one.startsWith('all '))) return tools
  return [...tools, ...other]
}

interface Tools {
  readonly globs: readonly string[]
  readonly named: readonly string[]
  readonly isKnown: boolean
  /** Whether some tools are on both sides. */
  readonly isRest: boolean
}

function toolWords({ globs, named, isKnown, isRest }: Tools): readonly string[] {
  const now = named.length === 0 ? '' : `: ${few(named)}`
  if (globs.includes('*'))
    return [`(all ${isRest ? 'other tools' : 'tools'}${isKnown ? `, now${now || ' none'}` : ''})`]
  const patterns = globs.filter((glob) => glob.includes('*'))
  const plain = globs.filter((glob) => !glob.includes('*'))
  if (!isKnown) return globs.length === 0 ? [] : [few(globs)]
  const both = union(named, plain)
  if (patterns.length === 0) return both.length === 0 ? [] : [few(both)]
  return [both.length === 0 ? `${few(patterns)} (no tool now)` : `${few(both)} (by ${few(patterns)})`]
}

/** What makes somebody or something more powerful than a grant of a tool does, a line each. Pure. */
export function escalations(before: Desired, after: Desired): readonly string[] {
  return [
    ...Object.entries(after.agents).flatMap(([name, agent]) => agentEscalations(name, before.agents[name], agent)),
    ...Object.values(after.servers).flatMap((server) =>
      gainedSecrets(server, before).map((words) => `server ${words}`),
    ),
    ...settingsChanges(before.settings, after.settings),
  ]
}

function agentEscalations(name: string, had: Agent | undefined, has: Agent): readonly string[] {
  const tokens = has.hashes.filter((hash) => !had?.hashes.includes(hash)).length
  return [
    ...(had === undefined ? [`${name} is a new agent, with ${tokens === 1 ? 'a token' : `${tokens} tokens`}`] : []),
    ...(had !== undefined && tokens > 0 ? [`${name} gains ${tokens === 1 ? 'a token' : `${tokens} tokens`}`] : []),
    ...(has.owner && had?.owner !== true ? [`${name} becomes an owner`] : []),
    ...(had !== undefined && isLater(had.expires, has.expires)
      ? [`${name} ${has.expires === undefined ? 'no longer expires' : `expires later: ${has.expires}`}`]
      : []),
    ...(has.every && had?.every !== true ? [`${name} gains every server (*), and whatever comes next`] : []),
  ]
}

function isLater(had: string | undefined, has: string | undefined): boolean {
  return had !== undefined && (has === undefined || has > had)
}

function settingsChanges(before: Settings, after: Settings): readonly string[] {
  const keys = ['governance', 'prune', 'product', 'bake', 'notifications'] as const
  const changed = keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
  return changed.length === 0 ? [] : [`gateway.yaml changes: ${changed.join(', ')}`]
}

/** What loosens the defaults of a server and did not before, a line each. Pure. */
export function loosenings(before: Desired, after: Desired): readonly string[] {
  return Object.values(after.servers).flatMap(({ name, loosens }) =>
    loosens.filter((one) => !before.servers[name]?.loosens.includes(one)).map((one) => `${name} ${one}`),
  )
}

function few(names: readonly string[]): string {
  const some = names.slice(0, shown).join(', ')
  return names.length > shown ? `${some} and ${names.length - shown} more` : some
}

function union(...lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort()
}
