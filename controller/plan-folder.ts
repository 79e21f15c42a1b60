import { aimAt } from './aim.ts'
import { compile } from './compile/compile.ts'
import { usualSettings } from './compile/gateway.ts'
import type { Desired, ManifestFault, Tree } from './desired.ts'
import { explainLines, isDifferent } from './explain.ts'
import { plan } from './plan.ts'
import { anyMachine, settled, wantedOf } from './settled.ts'
import { openCheckout } from './source/checkout.ts'
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
  readonly different: boolean
  readonly lines: readonly string[]
  readonly faults: readonly ManifestFault[]
  /** The commit that is taken to run already; absent where there is none. */
  readonly base?: string
}

const nothing: Desired = { commit: '', agents: {}, servers: {}, settings: usualSettings, warnings: [] }

/** What a commit would do to a machine on which `base` is applied. Needs only files. */
export async function planFolder(question: PlanQuestion): Promise<FolderPlan> {
  const { folder, commit, inherited } = question
  const tree = commit === undefined ? await openFolder(folder) : await openCheckout(folder, commit, inherited)
  const compiled = await compile(tree)
  if (!compiled.ok) return { ok: false, different: false, lines: [], faults: compiled.faults }
  const base = await openBase(question)
  const before = base === undefined ? nothing : await desiredOf(base)
  const machine = anyMachine(before, compiled.desired)
  const aim = aimAt(compiled.desired, machine)
  const steps = plan(aim, wantedOf(aim), settled(aimAt(before, machine)))
  const lines = explainLines(steps)
  return {
    ok: true,
    different: isDifferent(steps),
    lines,
    faults: [],
    ...(base === undefined ? {} : { base: base.commit }),
  }
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
async function desiredOf(tree: Tree): Promise<Desired> {
  const compiled = await compile(tree)
  return compiled.ok ? compiled.desired : nothing
}
