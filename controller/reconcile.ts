import type { CommitStatus } from '#manifests/status.ts'
import type { Table } from '#manifests/table.ts'
import type { Aim } from './aim.ts'
import { execute } from './execute.ts'
import { changedServers, explainLines, isDifferent } from './explain.ts'
import { behindProxies, liveReports } from './gate.ts'
import type { Guides } from './guides.ts'
import type { Heading } from './heading.ts'
import { generationKey, type Host, type Sight, type Wanted } from './host.ts'
import type { Lanes } from './lanes.ts'
import { grantsOf, isFinal, outcome, type Standing } from './outcome.ts'
import { plan } from './plan.ts'
import { adopt, type Draft, followUpstreams, settle, tidy } from './routes.ts'
import type { Step } from './step.ts'
import type { Troubles } from './troubles.ts'
import type { World } from './world.ts'

/** What passes work with. */
export interface Means extends Guides {
  readonly host: Host
  readonly world: World
  readonly lanes: Lanes
  readonly troubles: Troubles
}

/** What a pass aimed at and saw. */
export interface Seen {
  readonly aim: Aim
  readonly sight: Sight
  readonly wanted: Wanted
  /** Generations that the table says serve, and that did not run. */
  readonly absent: ReadonlySet<string>
  /** Why servers are left as they are, in words. */
  readonly left: ReadonlyMap<string, string>
}

/**
 * The second half: observed → plan → execute → table → status. Short: what takes long runs on in lanes, and each end of a lane
 * asks for another look. `recall` gives the heading once the host has answered: a newer one than it was asked for is better.
 */
export async function reconcile(
  means: Means,
  { recall, before }: { readonly recall: () => Heading; readonly before: Sight | undefined },
  signal: AbortSignal,
): Promise<Seen | undefined> {
  if (recall().aim === undefined) return undefined
  const sight = await means.host.observe(signal)
  noteRestarts(means, before, sight)
  const heading = recall()
  const { aim, course } = heading
  if (aim === undefined || course === undefined) return undefined
  const { publisher, lanes } = means
  if (publisher.table === undefined) publisher.publish((draft) => settle(adopt(draft, aim, sight), aim))
  const steps = planFor(means, { ...heading, aim }, sight)
  announce(means, { ...heading, aim }, steps)
  publisher.publish((draft) => freshen(draft, sight, lanes))
  execute(steps, { aim, tree: course.tree }, means.world, lanes)
  means.troubles.keep(new Set(lanes.runs.keys()))
  const seen = {
    aim,
    sight,
    wanted: means.host.wantedFrom(aim.settings.product),
    absent: absentOf(aim, sight, publisher.table),
    left: leftOf(steps, lanes),
  }
  conclude(means, heading, seen)
  return seen
}

/** What the host has started again by itself since the last look counts as if we had. */
function noteRestarts({ world }: Means, before: Sight | undefined, { generations }: Sight): void {
  for (const { id, server, spec, origin: commit, restarts } of generations) {
    const last = before?.generations.find((one) => one.id === id)?.restarts ?? restarts
    for (let time = last; time < restarts; time++) {
      const because = 'it ended and the host started it again'
      world.repairs.begin({ kind: 'heal', server, spec, commit, because })
      world.repairs.done(server, because)
    }
  }
}

/** What is to be done for the heading, seen from here. Changes nothing. */
export function planFor(
  { host, publisher, journal, chronicle }: Pick<Means, 'host' | 'publisher' | 'journal' | 'chronicle'>,
  { aim, before }: Pick<Heading, 'before'> & { readonly aim: Aim },
  sight: Sight,
): readonly Step[] {
  const { current } = chronicle
  return plan(aim, host.wantedFrom(aim.settings.product), {
    sight,
    table: (current?.commit === aim.commit && isUnplanned(current) ? before : undefined) ?? publisher.table,
    known: journal.known(sight.generations.map(({ server, spec }) => generationKey(server, spec))),
    failures: new Map(journal.failures().map((failure) => [failure.server, failure])),
    moves: journal.moves(),
    now: Date.now(),
  })
}

function isUnplanned({ phase }: CommitStatus): boolean {
  return phase === 'seen' || phase === 'verified'
}

/** Brings the table up to what was observed. */
function freshen(draft: Draft, sight: Sight, lanes: Lanes): Draft {
  return followUpstreams(
    tidy(draft, sight, (server) => lanes.runs.has(server)),
    sight,
  )
}

function announce(
  { chronicle, log, lanes }: Means,
  { aim, course }: Heading & { readonly aim: Aim },
  steps: readonly Step[],
): void {
  const lines = explainLines(steps)
  const warnings = course?.desired.warnings ?? []
  const warned = warnings.length === 0 ? {} : { warnings: [...warnings] }
  const current = chronicle.current
  if (current?.commit === aim.commit && isUnplanned(current))
    chronicle.tell({
      phase: 'planned',
      reason: lines.at(-1) ?? '',
      plan: [...lines],
      changed: [...changedServers(steps)],
      ...warned,
    })
  if (isDifferent(steps) && lanes.runs.size === 0) log.info({ commit: aim.commit, plan: lines }, 'planned')
}

/** A server whose lane is at work is not left: what was seen of it is being changed. */
function leftOf(steps: readonly Step[], { runs }: Lanes): ReadonlyMap<string, string> {
  return new Map(
    steps.flatMap((step) => (step.do === 'hold' && !runs.has(step.server) ? [[step.server, step.because]] : [])),
  )
}

function absentOf({ targets }: Aim, { generations }: Sight, table: Table | undefined): ReadonlySet<string> {
  const runs = new Set(
    generations.filter(({ state }) => state === 'running').map(({ server, spec }) => generationKey(server, spec)),
  )
  const serving = Object.values(targets).flatMap(({ kind, server: { name } }) =>
    kind === 'run' ? (table?.servers[name]?.generation ?? []) : [],
  )
  return new Set(serving.filter((key) => !runs.has(key)))
}

/** Says how far the current commit is. A commit that once was final never goes back to being applied. */
export function conclude(means: Means, { head }: Heading, seen: Seen): void {
  const { chronicle } = means
  const current = chronicle.current
  if (current?.commit !== seen.aim.commit || head?.compiled.ok !== true) return
  const facts = standing(means, seen)
  const now = { ...outcome(facts), grants: grantsOf(facts) }
  const released = current.phase === 'held' && (now.held?.length ?? 0) < (current.held?.length ?? 0)
  if (isFinal(now.phase) || !isFinal(current.phase) || released) chronicle.tell({ held: [], ...now })
  else chronicle.tell({ servers: now.servers, grants: now.grants })
}

/** The facts that status and outcome are derived from. */
export function standing(
  means: Pick<Means, 'publisher' | 'journal' | 'lanes' | 'troubles'>,
  { aim, sight, absent, left, wanted }: Seen,
): Standing {
  const { publisher, journal, lanes, troubles } = means
  const proxy = sight.proxies.find(({ state, spec }) => state === 'running' && spec === wanted.proxy)
  return {
    isCurrent: proxy !== undefined && wanted.controller === undefined,
    aim,
    table: publisher.table,
    absent,
    left,
    runs: lanes.runs,
    failures: new Map(journal.failures().map((failure) => [failure.server, failure])),
    troubles: troubles.reasons,
    behind: behindProxies(sight, publisher.heard, publisher.table?.revision ?? 0),
    liveProxies: liveReports(sight, publisher.heard).length,
  }
}
