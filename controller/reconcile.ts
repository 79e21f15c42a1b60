import type { Logger } from 'pino'
import type { Table } from '#manifests/table.ts'
import { narrow } from './admission.ts'
import type { Chronicle } from './chronicle.ts'
import type { Compiled, Desired, Tree } from './desired.ts'
import { describeFault } from './desired.ts'
import { execute } from './execute.ts'
import { explainLines, isDifferent } from './explain.ts'
import { behindProxies, liveReports } from './gate.ts'
import type { Machine } from './generation.ts'
import { generationKey, type Host, type Sight } from './host.ts'
import type { Journal } from './journal.ts'
import type { Lanes } from './lanes.ts'
import { isFinal, outcome, type Standing } from './outcome.ts'
import { type Aim, aimAt, plan, type Step } from './plan.ts'
import type { Publisher } from './publish.ts'
import type { World } from './rollout.ts'
import { adopt, type Draft, followUpstreams, restrain, settle, tidy } from './routes.ts'
import type { Troubles } from './troubles.ts'

/** What a pass reads the repository through. */
export interface Origin {
  /** The head of the branch; undefined while the repository does not answer, which it says itself. */
  fetch(signal: AbortSignal): Promise<Tree | undefined>
  tree(commit: string): Promise<Tree>
  /** Commits between two heads that no pass looked at, newest first, bounded. */
  skipped(from: string, to: string): Promise<readonly string[]>
}

/** What passes work with. */
export interface Means {
  readonly source: Origin
  readonly compile: (tree: Tree, signal: AbortSignal) => Promise<Compiled>
  readonly machine: () => Promise<Machine>
  readonly host: Host
  readonly world: World
  readonly publisher: Publisher
  readonly journal: Journal
  readonly chronicle: Chronicle
  readonly lanes: Lanes
  readonly troubles: Troubles
  /** Takes the aim that lanes admit grants by from now on, also those that run already. */
  readonly steer: (aim: Aim) => void
  readonly log: Logger
}

/** The commit that is aimed at, and the tree that its build inputs are read from. */
export interface Course {
  readonly desired: Desired
  readonly tree: Tree
}

/** What a pass remembers for the next one; nothing is wrong without it. */
export interface Memory {
  /** Head of the branch as last compiled. */
  readonly head?: { readonly commit: string; readonly compiled: Compiled }
  readonly course?: Course
  readonly seen?: Seen
}

/** What a pass aimed at and saw. */
export interface Seen {
  readonly aim: Aim
  readonly sight: Sight
  /** Generations that the table says serve, and that did not run. */
  readonly absent: ReadonlySet<string>
}

/**
 * One pass: commit → desired → observed → plan → execute → table → status. Short: what takes long runs on in lanes, and each
 * end of a lane asks for another pass. Safe to repeat, safe to interrupt.
 */
export async function reconcile(means: Means, memory: Memory, signal: AbortSignal): Promise<Memory> {
  const chosen = await choose(means, memory, signal)
  if (chosen.course === undefined) return chosen
  const aim = aimAt(chosen.course.desired, await means.machine())
  means.steer(aim)
  const before = means.publisher.table
  if (before !== undefined) means.publisher.publish((draft) => settle(draft, aim))
  const sight = await means.host.observe(signal)
  const steps = plan(aim, means.host.wanted, {
    sight,
    table: before,
    known: means.journal.known(sight.generations.map(({ spec }) => spec)),
    failures: new Map(means.journal.failures().map((failure) => [failure.server, failure])),
  })
  announce(means, aim, steps)
  means.publisher.publish((draft) => freshen(draft, { aim, sight, lanes: means.lanes, isFirst: before === undefined }))
  execute(steps, { aim, tree: chosen.course.tree }, means.world, means.lanes)
  means.troubles.keep(new Set(means.lanes.runs.keys()))
  const next = { ...chosen, seen: { aim, sight, absent: absentOf(aim, sight, means.publisher.table) } }
  conclude(means, next)
  return next
}

/** Fetches the head of the branch and chooses what to aim at: the head, or the last commit without errors. */
async function choose(means: Means, memory: Memory, signal: AbortSignal): Promise<Memory> {
  const tree = (await means.source.fetch(signal)) ?? (memory.head === undefined ? await lastHead(means) : undefined)
  if (tree === undefined || memory.head?.commit === tree.commit) return memory
  means.chronicle.see(tree.commit, await skippedSince(means, memory, tree.commit))
  const compiled = await means.compile(tree, signal)
  const head = { commit: tree.commit, compiled }
  if (compiled.ok) return { head, course: { desired: compiled.desired, tree } }
  means.chronicle.tell({
    phase: 'rejected',
    reason: 'its manifests have errors',
    errors: compiled.faults.map(describeFault),
  })
  means.log.warn({ commit: tree.commit, errors: compiled.faults.map(describeFault) }, 'rejected')
  const course = memory.course ?? (await lastGood(means, signal))
  return { ...memory, head, ...restrainedCourse(means, course, compiled) }
}

/** While the repository does not answer after a restart, the head is what it was: the mirror may have it. */
async function lastHead({ source, journal }: Means): Promise<Tree | undefined> {
  const [last] = journal.history(1)
  return last === undefined ? undefined : source.tree(last.commit).catch(() => undefined)
}

async function skippedSince({ source, journal }: Means, memory: Memory, commit: string): Promise<readonly string[]> {
  const before = memory.head?.commit ?? journal.history(1)[0]?.commit
  return before === undefined || before === commit ? [] : source.skipped(before, commit)
}

/** After a restart without a usable head: the last commit that was applied is found again in the history. */
async function lastGood({ source, compile, journal }: Means, signal: AbortSignal): Promise<Course | undefined> {
  const good = journal.latest(['applied', 'degraded'])
  if (good === undefined) return undefined
  const tree = await source.tree(good.commit).catch(() => undefined)
  if (tree === undefined) return undefined
  const compiled = await compile(tree, signal)
  return compiled.ok ? { desired: compiled.desired, tree } : undefined
}

/** A commit with errors adds nothing, but what its permissions take away is gone. */
function restrainedCourse(
  means: Means,
  course: Course | undefined,
  compiled: Compiled & { ok: false },
): { course?: Course } {
  const { agents } = compiled
  if (agents === undefined) return course === undefined ? {} : { course }
  if (course !== undefined)
    return { course: { ...course, desired: { ...course.desired, agents: narrow(course.desired.agents, agents) } } }
  if (means.publisher.table !== undefined) means.publisher.publish((draft) => restrain(draft, agents))
  return {}
}

interface Look {
  readonly aim: Aim
  readonly sight: Sight
  readonly lanes: Lanes
  readonly isFirst: boolean
}

/** Brings the table up to what was observed. */
function freshen(draft: Draft, { aim, sight, lanes, isFirst }: Look): Draft {
  const known = isFirst ? settle(adopt(draft, aim, sight), aim) : draft
  return followUpstreams(
    tidy(known, sight, (server) => lanes.runs.has(server)),
    sight,
  )
}

function announce({ chronicle, log, lanes }: Means, aim: Aim, steps: readonly Step[]): void {
  const lines = explainLines(steps)
  const current = chronicle.current
  if (current?.commit === aim.commit && (current.phase === 'seen' || current.phase === 'verified'))
    chronicle.tell({ phase: 'planned', reason: lines.at(-1) ?? '', plan: [...lines] })
  if (isDifferent(steps) && lanes.runs.size === 0) log.info({ commit: aim.commit, plan: lines }, 'planned')
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
export function conclude(means: Means, { seen, head }: Memory): void {
  const { chronicle } = means
  const current = chronicle.current
  if (seen === undefined || current?.commit !== seen.aim.commit || head?.compiled.ok !== true) return
  const now = outcome(standing(means, seen))
  if (isFinal(now.phase) || !isFinal(current.phase)) chronicle.tell(now)
  else chronicle.tell({ servers: now.servers })
}

/** The facts that status and outcome are derived from. */
export function standing(
  means: Pick<Means, 'publisher' | 'journal' | 'lanes' | 'troubles'>,
  { aim, sight, absent }: Seen,
): Standing {
  const { publisher, journal, lanes, troubles } = means
  return {
    aim,
    table: publisher.table,
    absent,
    runs: lanes.runs,
    failures: new Map(journal.failures().map((failure) => [failure.server, failure])),
    troubles: troubles.reasons,
    behind: behindProxies(sight, publisher.heard, publisher.table?.revision ?? 0),
    liveProxies: liveReports(sight, publisher.heard).length,
  }
}
