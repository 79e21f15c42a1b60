import type { Logger } from 'pino'
import type { Table } from '#manifests/table.ts'
import { narrow } from './admission.ts'
import { type Aim, aimAt } from './aim.ts'
import type { Chronicle } from './chronicle.ts'
import type { Compiled, Desired, Tree } from './desired.ts'
import { describeFault } from './desired.ts'
import type { Machine } from './generation.ts'
import type { Journal } from './journal/journal.ts'
import type { Publisher } from './publish.ts'
import { restrain, settle } from './routes.ts'

/** What a pass reads the repository through. */
export interface Origin {
  /** The head of the branch; undefined while the repository does not answer, which it says itself. */
  fetch(signal: AbortSignal): Promise<Tree | undefined>
  tree(commit: string): Promise<Tree>
  /** Commits between two heads that no pass looked at, newest first, bounded. */
  skipped(from: string, to: string): Promise<readonly string[]>
}

/** What a heading is taken by. */
export interface Guides {
  readonly source: Origin
  readonly compile: (tree: Tree, signal: AbortSignal) => Promise<Compiled>
  readonly machine: () => Promise<Machine>
  readonly publisher: Publisher
  readonly journal: Journal
  readonly chronicle: Chronicle
  readonly log: Logger
}

/** The commit that is aimed at, and the tree that its build inputs are read from. */
export interface Course {
  readonly desired: Desired
  readonly tree: Tree
}

/** Where a pass goes; nothing is wrong without what the last one remembered. */
export interface Heading {
  /** Head of the branch as last compiled. */
  readonly head?: { readonly commit: string; readonly compiled: Compiled }
  readonly course?: Course
  /** The course on this machine. */
  readonly aim?: Aim
  /** The table as it was when the head became the head, for people to read what it changes. */
  readonly before?: Table
}

/**
 * The first half of a pass: commit → desired → aim. It waits for no host, so that what a commit takes away never does.
 * Safe to repeat, safe to interrupt, as the second is.
 */
export async function takeHeading(guides: Guides, heading: Heading, signal: AbortSignal): Promise<Heading> {
  const before = guides.publisher.table
  const { before: earlier, ...chosen } = await choose(guides, heading, signal)
  const shown = chosen.head === heading.head ? earlier : before
  const kept = shown === undefined ? chosen : { ...chosen, before: shown }
  return chosen.course === undefined ? kept : { ...kept, aim: aimAt(chosen.course.desired, await guides.machine()) }
}

/** Publishes what the aim takes away, and what it gives that is ready already. */
export function settleTable({ publisher }: Pick<Guides, 'publisher'>, { aim }: Heading): void {
  if (aim !== undefined && publisher.table !== undefined) publisher.publish((draft) => settle(draft, aim))
}

/** Fetches the head of the branch and chooses what to aim at: the head, or the last commit without errors. */
async function choose(guides: Guides, heading: Heading, signal: AbortSignal): Promise<Heading> {
  const tree = (await guides.source.fetch(signal)) ?? (heading.head === undefined ? await lastHead(guides) : undefined)
  if (tree === undefined || heading.head?.commit === tree.commit) return heading
  guides.chronicle.see(tree.commit, await skippedSince(guides, heading, tree.commit))
  const compiled = await guides.compile(tree, signal)
  const head = { commit: tree.commit, compiled }
  if (compiled.ok) return { head, course: { desired: compiled.desired, tree } }
  guides.chronicle.tell({
    phase: 'rejected',
    reason: 'its manifests have errors',
    errors: compiled.faults.map(describeFault),
  })
  guides.log.warn({ commit: tree.commit, errors: compiled.faults.map(describeFault) }, 'rejected')
  const course = heading.course ?? (await lastGood(guides, signal))
  return { ...heading, head, ...restrainedCourse(guides, course, compiled) }
}

/** While the repository does not answer after a restart, the head is what it was: the mirror may have it. */
async function lastHead({ source, journal }: Guides): Promise<Tree | undefined> {
  const [last] = journal.history(1)
  return last === undefined ? undefined : source.tree(last.commit).catch(() => undefined)
}

async function skippedSince({ source, journal }: Guides, heading: Heading, commit: string): Promise<readonly string[]> {
  const before = heading.head?.commit ?? journal.history(1)[0]?.commit
  return before === undefined || before === commit ? [] : source.skipped(before, commit)
}

/** After a restart without a usable head: the last commit that was applied is found again in the history. */
async function lastGood({ source, compile, journal }: Guides, signal: AbortSignal): Promise<Course | undefined> {
  const good = journal.latest(['applied', 'degraded'])
  if (good === undefined) return undefined
  const tree = await source.tree(good.commit).catch(() => undefined)
  if (tree === undefined) return undefined
  const compiled = await compile(tree, signal)
  return compiled.ok ? { desired: compiled.desired, tree } : undefined
}

/** A commit with errors adds nothing, but what its permissions take away is gone. */
function restrainedCourse(
  guides: Guides,
  course: Course | undefined,
  compiled: Compiled & { ok: false },
): { course?: Course } {
  const { agents } = compiled
  if (agents === undefined) return course === undefined ? {} : { course }
  if (course !== undefined)
    return { course: { ...course, desired: { ...course.desired, agents: narrow(course.desired.agents, agents) } } }
  if (guides.publisher.table !== undefined) guides.publisher.publish((draft) => restrain(draft, agents))
  return {}
}
