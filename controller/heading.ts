import type { CommitPhase } from '#manifests/status.ts'
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
import { type Base, baseOf, type Ruling, rule } from './ruling.ts'
import { letIn } from './trust/break-glass.ts'
import { trusted } from './trust/trusted.ts'

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
  /** What of it is as in the last applied commit, for want of signatures. */
  readonly held: readonly Held[]
}

/** Phases of commits of which something was applied, and commits that are looked back to find one. */
const used: readonly CommitPhase[] = ['applied', 'degraded', 'held']
const lookedBack = 1_000

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
  if (head === undefined) {
    await breakGlass(guides)
    return heading
  }
  const isNew = head !== heading.head
  const shown = isNew ? before : heading.before
  // The same commit with other signers says something else.
  const chosen = await choose(guides, { ...heading, head, ...(isNew && { ruling: undefined }) }, { isNew, signal })
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
  const seen = tree && (await trusted(guides, tree, signal))
  if (seen === undefined || heading.head?.tree === seen.tree) return heading.head
  const { commit } = seen.tree
  const asked = [skippedSince(guides, heading, commit), guides.compile(seen.tree, signal)] as const
  const [skipped, compiled] = await Promise.all(asked)
  guides.chronicle.see(commit, skipped)
  return { ...seen, commit, compiled }
}

/** Whom the machine lets in is let in, although nothing can be aimed at. */
async function breakGlass({ publisher, machine }: Guides): Promise<void> {
  if (publisher.table === undefined) return
  const { glass } = await machine()
  if (glass !== undefined) publisher.publish((draft) => letIn(draft, glass))
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
    reject(guides, head, head.compiled.faults.map(describeFault))
    return { ...heading, ...(await fallBack(guides, heading, { agents: head.compiled.agents, signal })) }
  }
  const { desired } = head.compiled
  const { base, ruling } = await rule(guides, heading, { desired, signal })
  const ruled = { ...heading, ruling, ...(base === undefined ? {} : { base }) }
  const fresh = ruling === heading.ruling ? [] : ruling.desired.warnings.slice(desired.warnings.length)
  for (const warning of fresh) guides.log.warn({ commit: head.commit }, warning)
  if (ruling.fault === undefined) {
    const held = [...head.held, ...ruling.held]
    const course = { desired: ruling.desired, tree: head.tree, held }
    if (held.length > 0) return { ...ruled, course }
    accept(guides, head.commit)
    // What the next commit is judged by, unless it is known already.
    return { ...ruled, base: ruled.base?.desired.commit === head.commit ? ruled.base : baseOf(desired), course }
  }
  if (ruling === heading.ruling) return ruled
  reject(guides, head, [ruling.fault])
  const agents = { ...desired.agents, ...ownersOf(base?.desired) }
  return { ...ruled, ...(await fallBack(guides, heading, { agents, signal })) }
}

/** Whoever would be locked out by a commit that is none keeps what they have. */
function ownersOf(base: Desired | undefined): Desired['agents'] {
  return Object.fromEntries(Object.entries(base?.agents ?? {}).filter(([, { owner }]) => owner))
}

function accept({ journal }: Guides, commit: string): void {
  if (journal.accepted() !== commit) journal.accept(commit)
  journal.forgetApprovals()
}

/** What a commit lacks for want of signatures may be all that is wrong with it. */
function reject({ chronicle, log }: Guides, { commit, held }: Head, errors: string[]): void {
  const [part] = held
  if (part === undefined) chronicle.tell({ phase: 'rejected', reason: 'its manifests have errors', errors })
  else chronicle.tell({ phase: 'held', reason: `${part.what}: ${part.because}`, errors, held: [...held] })
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

/** A commit that is none adds nothing, but what its permissions take away, where they can be read, is gone. */
async function fallBack(
  guides: Guides,
  { course: last }: Heading,
  { agents, signal }: { readonly agents: Desired['agents'] | undefined; readonly signal: AbortSignal },
): Promise<{ course?: Course }> {
  const course = last ?? (await lastGood(guides, signal))
  if (course !== undefined) return { course: agents === undefined ? course : narrowedCourse(course, agents) }
  if (guides.publisher.table !== undefined && agents !== undefined)
    guides.publisher.publish((draft) => restrain(draft, agents))
  await breakGlass(guides)
  return {}
}

function narrowedCourse(course: Course, agents: Parameters<typeof narrow>[1]): Course {
  return { ...course, desired: { ...course.desired, agents: narrow(course.desired.agents, agents) } }
}

/**
 * After a restart without a usable head: the last commit of which something was applied is found again in the history. A later one
 * may have taken away what it gives, so that it gives nothing that the table has not.
 */
async function lastGood(guides: Guides, signal: AbortSignal): Promise<Course | undefined> {
  const { source, compile, journal, publisher } = guides
  const accepted = journal.accepted()
  const seen = journal.history(lookedBack).find(({ commit, phase }) => commit === accepted || used.includes(phase))
  const good = seen?.commit ?? accepted
  const whole = good === undefined ? undefined : await source.tree(good).catch(() => undefined)
  const { tree, held = [] } = (whole && (await trusted(guides, whole, signal))) ?? {}
  if (tree === undefined) return undefined
  const compiled = await compile(tree, signal)
  if (!compiled.ok) return undefined
  const { ruling } = await rule(guides, {}, { desired: compiled.desired, signal })
  const course = { desired: ruling.desired, tree, held: [...held, ...ruling.held] }
  return publisher.table === undefined ? course : narrowedCourse(course, publisher.table.agents)
}
