import type { CommitStatus, ServerStatus, Status } from '#manifests/status.ts'
import type { GenerationReport, Grant, Probe, ToolSuspicion } from '#manifests/table.ts'
import { budgetsOf, lackingTool } from './budget.ts'
import type { Server } from './desired.ts'
import { find, liveReports } from './gate.ts'
import { type Target, targetKey } from './generation.ts'
import type { Sight } from './host.ts'
import { type Standing, serverStanding } from './outcome.ts'
import type { Heard } from './publish.ts'
import { itself } from './step.ts'
import { driftedTools } from './tool-drift.ts'

/** All facts that a status is made of. */
export interface Facts {
  readonly instance: string
  readonly version: string
  readonly repository: string
  readonly branch: string
  readonly source: Status['source']
  readonly host: Status['host']
  readonly forge?: Status['forge']
  readonly webhook?: Status['webhook']
  readonly attempted: CommitStatus | undefined
  readonly applied: string | undefined
  readonly heard: ReadonlyMap<string, Heard>
  readonly revision: number
  /** Absent until the first pass has looked at the host. */
  readonly look?: { readonly standing: Standing; readonly sight: Sight }
}

/** The same once a pass has. */
type Looked = Facts & Required<Pick<Facts, 'look'>>

/** What is true now, with reasons. The operator's view adds who may use what, and the output of what failed. Pure. */
export function summarise(facts: Facts, view: 'public' | 'operator'): Status {
  const { look } = facts
  const targets = Object.values(look?.standing.aim.targets ?? {})
  return {
    instance: facts.instance,
    version: facts.version,
    repository: facts.repository,
    branch: facts.branch,
    source: facts.source,
    host: facts.host,
    ...(facts.forge === undefined ? {} : { forge: facts.forge }),
    ...(facts.webhook === undefined ? {} : { webhook: facts.webhook }),
    ...(look?.sight.edge?.remark === undefined ? {} : { remarks: [look.sight.edge.remark] }),
    ...glassOf(look?.standing),
    ...(facts.attempted === undefined ? {} : { attempted: facts.attempted }),
    ...(facts.applied === undefined ? {} : { applied: facts.applied }),
    revision: facts.revision,
    proxies: look === undefined ? [] : proxiesOf(facts, look),
    servers:
      look === undefined
        ? []
        : [...targets.map((target) => serverOf(target, { ...facts, look }, view)), ...removedServers(look)],
    ...(view === 'operator' && look !== undefined ? { access: accessOf(look.standing) } : {}),
  }
}

function glassOf(standing: Standing | undefined): Pick<Status, 'breakGlass'> {
  const glass = standing?.aim.glass
  return glass === undefined ? {} : { breakGlass: { ok: glass.ok, reason: glass.reason } }
}

function proxiesOf({ heard, revision }: Facts, { sight, standing }: Looked['look']): Status['proxies'] {
  const trouble = standing.troubles.get(itself)
  if (sight.proxies.length === 0 && trouble !== undefined)
    return [{ name: 'proxy', have: 0, live: false, reason: `does not run: ${trouble}` }]
  return sight.proxies.map(({ name, state }) => {
    const have = heard.get(name)?.report.have ?? 0
    const live = state === 'running'
    return { name, have, live, reason: proxyReason({ live, have, revision, wasHeard: heard.has(name), trouble }) }
  })
}

interface ProxyFacts {
  readonly live: boolean
  readonly have: number
  readonly revision: number
  readonly wasHeard: boolean
  readonly trouble: string | undefined
}

function proxyReason(proxy: ProxyFacts): string {
  if (!proxy.live) return proxy.trouble === undefined ? 'does not run' : `does not run: ${proxy.trouble}`
  if (!proxy.wasHeard) return 'has not called yet'
  return proxy.have < proxy.revision ? `has yet to take revision ${proxy.revision}` : 'up to date'
}

function serverOf(target: Target, facts: Looked, view: 'public' | 'operator'): ServerStatus {
  const { standing, sight } = facts.look
  const { name, description } = target.server
  const wanted = targetKey(target)
  const serving = standing.table?.servers[name]
  const [, spec] = serving?.generation.split('@') ?? []
  const origin = spec === undefined ? undefined : find(sight, name, spec)?.origin
  const failure = standing.failures.get(name)
  return {
    name,
    ...answering(target, facts),
    description,
    ...(serving === undefined ? {} : { serving: serving.generation }),
    ...(wanted === undefined ? {} : { wanted }),
    ...(origin === undefined ? {} : { commit: origin }),
    ...probed(serving?.generation, facts),
    ...inspected(target, facts, view),
    ...budgetsOf(name, liveReports(sight, facts.heard)),
    ...(standing.aim.pinned?.has(name) ? { pinned: true } : {}),
    ...(view === 'operator' ? logOf(failure?.log || saidBy(serving?.generation, facts)) : {}),
  }
}

/** What live proxies report of a generation. */
function reportsOf(key: string | undefined, { look, heard }: Looked): readonly GenerationReport[] {
  return liveReports(look.sight, heard).flatMap(({ report }) => report.generations[key ?? ''] ?? [])
}

function probesOf(key: string | undefined, facts: Looked): readonly Probe[] {
  return reportsOf(key, facts).flatMap(({ probe }) => probe ?? [])
}

/** What it says itself in place of a good answer. */
function saidBy(key: string | undefined, facts: Looked): string {
  const said = probesOf(key, facts).find((probe) => probe.said !== undefined)?.said
  return said === undefined ? '' : `its last answer: ${said}`
}

function logOf(log: string): Pick<ServerStatus, 'log'> {
  return log === '' ? {} : { log }
}

/** Servers that the commit no longer names, while something of them is still there. */
function removedServers({ standing, sight }: Looked['look']): ServerStatus[] {
  const { targets, settings } = standing.aim
  const gone = Map.groupBy(
    sight.generations.filter(({ server }) => targets[server] === undefined),
    ({ server }) => server,
  )
  return [...gone].map(([name, generations]) => {
    const runs = generations.some(({ state }) => state === 'running')
    const last = Math.max(...generations.map(({ endedAt = 0 }) => endedAt))
    const until = new Date(last + settings.prune.grace).toISOString().replace(/\.\d+Z$/, 'Z')
    const kept = last === 0 || settings.prune.grace === 0 ? 'to be removed' : `kept, stopped, until ${until}`
    const reason = `no longer in the commit: ${runs ? 'finishes its calls' : kept}`
    return { name, phase: 'removed', reason, description: '' }
  })
}

/** A server that the table has, but that does not answer its probes, is not ready. */
function answering(target: Target, facts: Looked): Pick<ServerStatus, 'phase' | 'reason'> {
  const now = serverStanding(target, facts.look.standing)
  if (now.phase !== 'ready') return now
  const probes = probesOf(targetKey(target), facts)
  const bad = probes.find(({ ok }) => !ok)
  if (bad?.refused) return { phase: 'waiting', reason: refusing(target.server, bad) }
  if (bad !== undefined) return { phase: 'waiting', reason: `does not answer: ${bad.error ?? 'the probe failed'}` }
  const [good] = probes
  const lacking = good?.tools && lackingTool(target.server.budgets, good.tools)
  return lacking === undefined ? now : { phase: 'waiting', reason: lacking }
}

/** Who has to act is whoever owns the credential. */
function refusing({ auth, runs }: Server, { error }: Probe): string {
  const found = error === undefined ? '' : ` (${error})`
  if (auth !== undefined)
    return `refuses the secret ${auth.secret} that it is sent${found}: put one that it takes into the secrets file`
  const advice = runs.kind === 'url' ? ': name a secret for it in its manifest’s "auth"' : ''
  return `refuses the gateway, which sends it no credential${found}${advice}`
}

function probed(key: string | undefined, facts: Looked) {
  const reports = reportsOf(key, facts)
  const probe = reports.find((report) => report.probe?.tools !== undefined)?.probe
  return {
    ...(probe?.era === undefined ? {} : { era: probe.era }),
    ...(probe?.tools === undefined ? {} : { tools: probe.tools }),
    ...(reports.length === 0 ? {} : { calls: reports.reduce((sum, { calls }) => sum + calls, 0) }),
  }
}

/** What proxies say of the tools of what serves. */
function inspected(
  { server }: Target,
  facts: Looked,
  view: 'public' | 'operator',
): Pick<ServerStatus, 'drift' | 'suspicions' | 'clashes'> {
  const serving = facts.look.standing.table?.servers[server.name]
  const reports = reportsOf(serving?.generation, facts)
  const drift = driftedTools(reports, { pins: serving?.pins, reviewed: server.lock?.tools ?? [] }, view)
  const suspicions = reports.flatMap((report) => report.suspicions ?? [])
  const own = new Map(suspicions.map((one) => [JSON.stringify(one), one]))
  return {
    ...(drift.length === 0 ? {} : { drift: [...drift] }),
    ...clashing(reports, view),
    ...(own.size === 0 ? {} : { suspicions: [...own.values()].map((one) => shownTo(view, one)) }),
  }
}

/** A resource may be called by what it is about. */
function clashing(reports: readonly GenerationReport[], view: 'public' | 'operator'): Pick<ServerStatus, 'clashes'> {
  const all = reports.flatMap(({ clashes = [] }) => clashes)
  const shown = all.filter(({ kind }) => view === 'operator' || kind !== 'resource')
  const own = new Map(shown.map((one) => [JSON.stringify(one), one]))
  return own.size === 0 ? {} : { clashes: [...own.values()] }
}

const publicly = {
  hidden: 'hidden characters',
  'look-alike': 'letters that look like others',
  reference: 'the name of a tool of another server',
} as const satisfies Record<ToolSuspicion['kind'], string>

/** What is quoted of a server's own words is for operators. */
function shownTo(view: 'public' | 'operator', { tool, kind, at, what }: ToolSuspicion): ToolSuspicion {
  return { tool, kind, at, what: view === 'operator' ? what : publicly[kind] }
}

function accessOf({ table }: Standing): Status['access'] {
  const words = ({ tools, prompts, resources }: Grant) => [
    ...tools.map((glob) => `tool ${glob}`),
    ...prompts.map((glob) => `prompt ${glob}`),
    ...resources.map((glob) => `resource ${glob}`),
  ]
  return Object.fromEntries(
    Object.entries(table?.agents ?? {}).map(([agent, { grants }]) => [
      agent,
      Object.fromEntries(Object.entries(grants).map(([server, grant]) => [server, words(grant)])),
    ]),
  )
}
