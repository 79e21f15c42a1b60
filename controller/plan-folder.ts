import { compile } from './compile/compile.ts'
import type { Consent } from './consent.ts'
import type { Desired, ManifestFault, Tree } from './desired.ts'
import { explainLines, isDifferent } from './explain.ts'
import { foresee, nothing } from './foresee.ts'
import type { Held } from './held.ts'
import type { Verdict } from './judge.ts'
import { decide } from './ruling.ts'
import { approvedSince, openCheckout } from './source/checkout.ts'
import { openFolder } from './source/folder.ts'
import type { Inherited } from './source/git-environment.ts'

/** What is compared with what: a folder or a commit of its repository, with another commit. */
export interface PlanQuestion {
  readonly folder: string
  /** A revision instead of the folder's present files. */
  readonly commit?: string
  /** What is taken to run already; default the commit's first parent, or the branch's remote head, or HEAD. */
  readonly base?: string
  readonly branch: string
  readonly inherited: Inherited
}

export interface FolderPlan {
  readonly ok: boolean
  /** Whether anything is changed, at once or once it is approved. */
  readonly different: boolean
  /** What would be done at once. */
  readonly lines: readonly string[]
  /** What would wait, and what releases it. */
  readonly held: readonly Held[]
  /** What would be done once all of that is approved; absent where nothing is held. */
  readonly later?: readonly string[]
  readonly faults: readonly ManifestFault[]
  /** Why it would be rejected, although its manifests have no errors. */
  readonly fault?: string
  /** The commit that is taken to run already; absent where there is none. */
  readonly base?: string
}

const refused = { ok: false, different: false, lines: [], held: [], faults: [] }

/** What a commit would do to a machine on which `base` is applied whole. Needs only files. */
export async function planFolder(question: PlanQuestion): Promise<FolderPlan> {
  const { folder, commit, inherited } = question
  const tree = commit === undefined ? await openFolder(folder) : await openCheckout(folder, commit, inherited)
  const compiled = await compile(tree)
  if (!compiled.ok) return { ...refused, faults: compiled.faults }
  const { desired } = compiled
  const base = await openBase(question)
  const before = base === undefined ? undefined : await desiredOf(base)
  const { desired: now, held, fault } = await judged(desired, before, question)
  const named = base === undefined ? {} : { base: base.commit }
  if (fault !== undefined) return { ...refused, fault, ...named }
  const whole = foresee(before ?? nothing, desired)
  return {
    ok: true,
    different: isDifferent(whole),
    lines: explainLines(foresee(before ?? nothing, now)),
    held,
    ...(held.length === 0 ? {} : { later: explainLines(whole) }),
    faults: [],
    ...named,
  }
}

const unasked: Consent = {
  given: false,
  because: 'others must approve it on the forge first, as manifests/gateway.yaml says',
}

/** As a pass would judge it, for all that files say: nothing is approved but by what commits say themselves. */
async function judged(desired: Desired, base: Desired | undefined, question: PlanQuestion): Promise<Verdict> {
  if (base === undefined) return { desired, held: [] }
  const { folder, commit = 'HEAD', inherited } = question
  const approves = await approvedSince(folder, { from: base.commit, to: commit }, inherited)
  // A folder that lacks what the branch has is merged with it first.
  const lineage = { rewound: false, approves }
  const restraint = { base: { desired: base, left: base.agents }, lineage, approved: new Set<string>() }
  return decide(desired, { ...restraint, consent: unasked, isSigned: false })
}

async function openBase({ folder, commit, base, branch, inherited }: PlanQuestion): Promise<Tree | undefined> {
  if (base !== undefined) return openCheckout(folder, base, inherited)
  const usual = commit === undefined ? [`refs/remotes/origin/${branch}`, 'HEAD'] : [`${commit}^`]
  for (const revision of usual) {
    const tree = await openCheckout(folder, revision, inherited).catch(() => undefined)
    if (tree !== undefined) return tree
  }
  return undefined
}

/** A base that was itself rejected changed nothing, so that it is as good as none. */
async function desiredOf(tree: Tree): Promise<Desired | undefined> {
  const compiled = await compile(tree)
  return compiled.ok ? compiled.desired : undefined
}
