import { narrow } from './admission.ts'
import type { Consent } from './consent.ts'
import type { Desired } from './desired.ts'
import { type Held, heldPlan, howToRelease } from './held.ts'
import { entryOf, gainedSecrets, owners, widenings, without } from './widening.ts'

/** All that a commit is judged by, beside itself. */
export interface Bench {
  /** The last commit of which nothing was held back: what restrains is read from there, never from the commit itself. */
  readonly base: Desired | undefined
  /** What of the base's agents no commit since has taken away; default all of it. */
  readonly left?: Desired['agents']
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

type Part = Omit<Verdict, 'fault'>

/** What of a commit may be applied. What it takes away always is; what it adds or removes may have to wait. Pure. */
export function judge(head: Desired, bench: Bench): Verdict {
  const { base } = bench
  if (base === undefined || base.commit === head.commit) return { desired: head, held: [] }
  const [one, ...more] = owners(base)
  if (one !== undefined && owners(head).length === 0)
    return { desired: head, held: [], fault: lastOwner([one, ...more]) }
  const governed = govern(head, base, bench)
  const pruned = guard(governed.desired, base, bench)
  const held = [...governed.held, ...pruned.held]
  return { desired: held.length === 0 ? head : consistent(pruned.desired, base), held }
}

function lastOwner(names: readonly string[]): string {
  const keep = `keep "owner: true" for ${names.join(' or ')}, or give it to another agent`
  return `manifests/permissions.yaml agents: the last owner would be gone: ${keep}`
}

/** Servers of two commits may meet in a prefix, as those of one never do: then all of them stay as they were. */
function consistent(desired: Desired, base: Desired): Desired {
  const prefixes = Object.values(desired.servers).map(({ prefix }) => prefix)
  return new Set(prefixes).size === prefixes.length ? desired : { ...desired, servers: base.servers }
}

/** More removals than a commit may make wait, all of them; agents that have every server keep these. */
function guard(head: Desired, base: Desired, bench: Bench): Part {
  const all = Object.keys(base.servers)
  const gone = all.filter((name) => head.servers[name] === undefined).sort()
  const percent = Math.round(base.settings.prune.most * 100)
  if (gone.length <= Math.max(1, Math.floor((percent * all.length) / 100))) return { desired: head, held: [] }
  const plan = heldPlan('remove', gone)
  if (bench.approved.has(plan) || bench.trailers.has(plan)) return { desired: head, held: [] }
  const kept = Object.fromEntries(gone.flatMap((name) => entryOf(base.servers, name)))
  const what = `removing ${gone.length} of ${all.length} servers: ${gone.join(', ')}`
  const because = `more than ${percent}% of the servers, as manifests/gateway.yaml says; held ${howToRelease(plan, 'trailer')}`
  const agents = keeping(head.agents, bench.left ?? base.agents, gone)
  return { desired: { ...head, servers: { ...head.servers, ...kept }, agents }, held: [{ plan, what, because }] }
}

/** Whoever has every server has those that are kept, too. */
function keeping(agents: Desired['agents'], before: Desired['agents'], kept: readonly string[]): Desired['agents'] {
  return Object.fromEntries(
    Object.entries(agents).map(([name, agent]) => {
      const had = agent.every ? kept.flatMap((server) => entryOf(before[name]?.grants ?? {}, server)) : []
      return [name, { ...agent, grants: { ...agent.grants, ...Object.fromEntries(had) } }]
    }),
  )
}

/** Where others must consent to what widens access, that waits for them; what is taken away does not. */
function govern(head: Desired, base: Desired, { approved, consent, left = base.agents }: Bench): Part {
  if (base.settings.governance === undefined || consent.given) return { desired: head, held: [] }
  const before = { ...base, agents: left }
  const widens = widenings(head, before)
  if (widens.length === 0) return { desired: head, held: [] }
  const desired = narrowed(head, before)
  const plan = heldPlan('widen', without(head, desired))
  if (approved.has(plan)) return { desired: head, held: [] }
  const because = `${consent.because}; held until then, or ${howToRelease(plan, 'socket')}`
  return { desired, held: [{ plan, what: widens.join('; '), because }] }
}

/** The head without what it widens. Somebody stays owner, who was one, until the next may be. */
function narrowed(head: Desired, base: Desired): Desired {
  const isOwner = (name: string) => base.agents[name]?.owner === true && head.agents[name]?.owner === true
  const left = narrow(base.agents, head.agents)
  const isKept = Object.keys(left).some(isOwner)
  const agents = Object.entries(left).map(([name, agent]) => {
    const { every = false, through = [] } = head.agents[name] ?? {}
    const owner = isKept ? isOwner(name) : agent.owner
    const only = agent.through.filter((server) => through.includes(server))
    return [name, { ...agent, owner, every: agent.every && every, through: only }] as const
  })
  const servers = Object.values(head.servers).flatMap((server) =>
    gainedSecrets(server, base).length === 0 ? [[server.name, server] as const] : entryOf(base.servers, server.name),
  )
  return {
    ...head,
    agents: Object.fromEntries(agents),
    servers: Object.fromEntries(servers),
    settings: base.settings,
  }
}
