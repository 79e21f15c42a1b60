import type { Table } from '#manifests/table.ts'
import { narrow } from './admission.ts'
import { type Aim, aimAt } from './aim.ts'
import type { Compiled, Desired, Tree } from './desired.ts'
import { describeFault } from './desired.ts'
import type { Guides } from './guides.ts'
import type { Held } from './held.ts'
import { failedPins, intend, overtaken } from './intents.ts'
import { pinnedTargets } from './pinned.ts'
import { restrain, settle } from './routes.ts'
import { type Base, type Ruling, rule } from './ruling.ts'

/** The commit that is aimed at, and the tree that its build inputs are read from. */
export interface Course {
  readonly desired: Desired
  readonly tree: Tree
  readonly held: readonly Held[]
}

/** Head of the branch as last compiled. */
export interface Head {
  readonly commit: string
  readonly tree: Tree
  readonly compiled: Compiled
}

/** Where a pass goes; nothing is wrong without what the last one remembered. */
export interface Heading {
  readonly head?: Head
  readonly base?: Base
  readonly ruling?: Ruling
  readonly course?: Course
  /** The course on this machine, with what operators want. */
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
  const head = await lookAtHead(guides, heading, signal)
  if (head === undefined) return heading
  const isNew = head !== heading.head
  const shown = isNew ? before : heading.before
  const chosen = await choose(guides, { ...heading, head }, { isNew, signal })
  const kept = shown === undefined ? chosen : { ...chosen, before: shown }
  return chosen.course === undefined ? kept : { ...kept, aim: await aimOf(guides, chosen.course, signal) }
}

/** Publishes what the aim takes away, and what it gives that is ready already. */
export function settleTable({ publisher }: Pick<Guides, 'publisher'>, { aim }: Heading): void {
  if (aim !== undefined && publisher.table !== undefined) publisher.publish((draft) => settle(draft, aim))
}

async function aimOf(guides: Guides, { desired, held }: Course, signal: AbortSignal): Promise<Aim> {
  const machine = await guides.machine()
  const asked = { ...aimAt(desired, machine), held }
  for (const server of overtaken(asked, guides.journal.intents())) {
    guides.journal.unpin(server)
    guides.log.info({ server, commit: asked.commit }, 'no longer rolled back: the branch asks for something else')
  }
  const pinned = await pinnedTargets(guides.journal.intents(), { ...guides, machine }, signal)
  const failed = failedPins(pinned, guides.journal.failures())
  for (const { server, commit, reason } of failed) {
    guides.journal.unpin(server)
    guides.log.warn({ server, commit, reason }, 'no longer rolled back: it failed')
  }
  const left = new Map([...pinned].filter(([server]) => !failed.some((one) => one.server === server)))
  return intend(asked, guides.journal.intents(), left)
}

async function lookAtHead(guides: Guides, heading: Heading, signal: AbortSignal): Promise<Head | undefined> {
  const tree = (await guides.source.fetch(signal)) ?? (heading.head === undefined ? await lastHead(guides) : undefined)
  if (tree === undefined || heading.head?.commit === tree.commit) return heading.head
  guides.chronicle.see(tree.commit, await skippedSince(guides, heading, tree.commit))
  return { commit: tree.commit, tree, compiled: await guides.compile(tree, signal) }
}

/** Chooses what to aim at: what of the head may be so, or the last commit without errors. */
async function choose(
  guides: Guides,
  heading: Heading & { readonly head: Head },
  { isNew, signal }: { readonly isNew: boolean; readonly signal: AbortSignal },
): Promise<Heading> {
  const { head } = heading
  if (!head.compiled.ok) {
    if (!isNew) return heading
    reject(guides, head.commit, head.compiled.faults.map(describeFault))
    const course = heading.course ?? (await lastGood(guides, signal))
    return { ...heading, ...restrainedCourse(guides, course, head.compiled) }
  }
  const { base, ruling } = await rule(guides, heading, { desired: head.compiled.desired, signal })
  const ruled = { ...heading, ruling, ...(base === undefined ? {} : { base }) }
  if (ruling.fault !== undefined) {
    if (ruling !== heading.ruling) reject(guides, head.commit, [ruling.fault])
    const course = heading.course ?? (await lastGood(guides, signal))
    return course === undefined ? ruled : { ...ruled, course }
  }
  if (ruling.held.length === 0) guides.journal.accept(head.commit)
  if (isNew && ruling.rewound)
    guides.log.warn({ commit: head.commit }, 'the branch does not descend from what was applied')
  return { ...ruled, course: { desired: ruling.desired, tree: head.tree, held: ruling.held } }
}

function reject({ chronicle, log }: Guides, commit: string, errors: string[]): void {
  chronicle.tell({ phase: 'rejected', reason: 'its manifests have errors', errors })
  log.warn({ commit, errors }, 'rejected')
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
  const good = journal.accepted() ?? journal.latest(['applied', 'degraded'])?.commit
  if (good === undefined) return undefined
  const tree = await source.tree(good).catch(() => undefined)
  if (tree === undefined) return undefined
  const compiled = await compile(tree, signal)
  return compiled.ok ? { desired: compiled.desired, tree, held: [] } : undefined
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
