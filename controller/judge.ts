import { grantChanges, narrow } from './admission.ts'
import type { Agent, Desired, Server } from './desired.ts'
import { type Held, heldPlan, howToRelease } from './held.ts'

/** What others have said of the commits that a head brings: enough for it to widen access, or why not. */
export type Consent = { readonly given: true } | { readonly given: false; readonly because: string }

/** All that a commit is judged by, beside itself. */
export interface Bench {
  /** The last commit of which nothing was held back: what restrains is read from there, never from the commit itself. */
  readonly base: Desired | undefined
  /** Plans that were approved on the machine, and those that a commit's trailer names. */
  readonly approved: ReadonlySet<string>
  readonly trailers: ReadonlySet<string>
  readonly consent: Consent
}

export interface Verdict {
  /** What may be so now: the head, with what it may not yet change as it was. */
  readonly desired: Desired
  readonly held: readonly Held[]
  /** Why the commit is none at all. */
  readonly fault?: string
}

/** What of a commit may be applied. What it takes away always is; what it adds or removes may have to wait. Pure. */
export function judge(head: Desired, bench: Bench): Verdict {
  const { base } = bench
  if (base === undefined || base.commit === head.commit) return { desired: head, held: [] }
  if (hasOwner(base) && !hasOwner(head))
    return {
      desired: head,
      held: [],
      fault: `the last owner would be gone: keep "owner: true" for ${owners(base).join(' or ')}, or give it to another agent`,
    }
  const governed = govern(head, base, bench)
  const pruned = guard(governed.desired, base, bench)
  return { desired: pruned.desired, held: [...governed.held, ...pruned.held] }
}

function hasOwner({ agents }: Desired): boolean {
  return Object.values(agents).some(({ owner }) => owner)
}

function owners({ agents }: Desired): string[] {
  return Object.keys(agents).filter((name) => agents[name]?.owner)
}

/** More removals than a commit may make wait, all of them; agents that have every server keep these. */
function guard(head: Desired, base: Desired, { approved, trailers }: Bench): Omit<Verdict, 'fault'> {
  const all = Object.keys(base.servers)
  const gone = all.filter((name) => head.servers[name] === undefined).sort()
  if (gone.length <= Math.max(1, Math.floor(base.settings.prune.most * all.length))) return { desired: head, held: [] }
  const plan = heldPlan('remove', gone)
  if (approved.has(plan) || trailers.has(plan)) return { desired: head, held: [] }
  const kept = Object.fromEntries(gone.flatMap((name) => entryOf(base.servers, name)))
  const what = `removing ${gone.length} of ${all.length} servers: ${gone.join(', ')}`
  const most = `more than ${Math.round(base.settings.prune.most * 100)}% of the servers, as manifests/gateway.yaml says`
  return {
    desired: { ...head, servers: { ...head.servers, ...kept }, agents: keeping(head.agents, base.agents, gone) },
    held: [{ plan, what, because: `${most}; held ${howToRelease(plan, 'trailer')}` }],
  }
}

function entryOf<T>(record: Readonly<Record<string, T>>, name: string): [string, T][] {
  const found = record[name]
  return found === undefined ? [] : [[name, found]]
}

/** Whoever has every server has those that are kept, too. */
function keeping(
  agents: Desired['agents'],
  before: Desired['agents'],
  kept: readonly string[],
): Readonly<Record<string, Agent>> {
  const grantsOf = (name: string, agent: Agent) =>
    agent.every ? Object.fromEntries(kept.flatMap((server) => entryOf(before[name]?.grants ?? {}, server))) : {}
  return Object.fromEntries(
    Object.entries(agents).map(([name, agent]) => [
      name,
      { ...agent, grants: { ...agent.grants, ...grantsOf(name, agent) } },
    ]),
  )
}

/** Where others must consent to what widens access, that waits for them; what is taken away does not. */
function govern(head: Desired, base: Desired, { approved, consent }: Bench): Omit<Verdict, 'fault'> {
  if (base.settings.governance === undefined || consent.given) return { desired: head, held: [] }
  const widens = widenings(head, base)
  if (widens.length === 0) return { desired: head, held: [] }
  const plan = heldPlan('widen', widens)
  if (approved.has(plan)) return { desired: head, held: [] }
  const because = `${consent.because}; held until then, or ${howToRelease(plan, 'socket')}`
  return { desired: narrowed(head, base), held: [{ plan, what: widens.join('; '), because }] }
}

/** What a commit gives to anybody or anything that it did not have, in words. */
export function widenings(head: Desired, base: Desired): readonly string[] {
  const agents = grantChanges(tableAgents(base), head.agents).filter(({ kind }) => kind === 'grant')
  const fresh = Object.keys(head.agents).filter((name) => base.agents[name] === undefined)
  const named = fresh.filter((name) => !agents.some(({ agent }) => agent === name))
  const newOwners = owners(head).filter((name) => base.agents[name]?.owner !== true)
  const secrets = Object.values(head.servers).flatMap((server) => {
    const gained = gainedSecrets(server, base)
    return gained.length === 0 ? [] : [`${server.name} gains the secret ${gained.join(', ')}`]
  })
  const settings = JSON.stringify(head.settings) === JSON.stringify(base.settings) ? [] : ['gateway.yaml changes']
  return [
    ...named.map((name) => `${name} is a new agent`),
    ...agents.map(({ agent, because }) => `${agent} ${because}`),
    ...newOwners.map((name) => `${name} becomes an owner`),
    ...secrets,
    ...settings,
  ]
}

function tableAgents({ agents }: Desired) {
  return Object.fromEntries(
    Object.entries(agents).map(([name, { hashes, grants, expires }]) => [
      name,
      { hashes: [...hashes], grants: { ...grants }, ...(expires === undefined ? {} : { expires }) },
    ]),
  )
}

function gainedSecrets({ name, secrets }: Server, base: Desired): string[] {
  const before = new Set(Object.values(base.servers[name]?.secrets ?? {}))
  return Object.values(secrets)
    .filter((secret) => !before.has(secret))
    .sort()
}

function narrowed(head: Desired, base: Desired): Desired {
  const agents = Object.fromEntries(
    Object.entries(narrow(base.agents, head.agents)).map(([name, agent]) => [
      name,
      { ...agent, owner: agent.owner && head.agents[name]?.owner === true },
    ]),
  )
  const servers = Object.fromEntries(
    Object.values(head.servers).flatMap((server) =>
      gainedSecrets(server, base).length === 0 ? [[server.name, server]] : entryOf(base.servers, server.name),
    ),
  )
  return { ...head, agents, servers, settings: base.settings }
}
