import { narrow } from './admission.ts'
import type { Consent } from './consent.ts'
import type { Desired } from './desired.ts'
import type { Guides, Lineage } from './guides.ts'
import { heldPlan, howToRelease } from './held.ts'
import { judge, type Verdict } from './judge.ts'
import { CommitUnknown } from './source/git-fault.ts'

/** The last commit of which nothing was held back, compiled. */
export interface Base {
  readonly desired: Desired
  /** What of its agents no commit has taken away since: what was revoked is not given back for having been there once. */
  readonly left: Desired['agents']
}

/** What of a head may be so, and what that was judged by. */
export interface Ruling extends Verdict {
  /** Equal for equal circumstances: then it is not judged again. */
  readonly by: string
}

/** What the last ruling left. */
export interface Remembered {
  readonly base?: Base
  readonly ruling?: Ruling
}

type Ruled = Remembered & { readonly ruling: Ruling }

interface Question {
  readonly desired: Desired
  readonly signal: AbortSignal
}

/**
 * Judges a head by the commit before it, what operators have approved and what others have consented to. What cannot be found out
 * now restrains, by failing.
 */
export async function rule(guides: Guides, last: Remembered, question: Question): Promise<Ruled> {
  const { desired } = question
  const before = guides.journal.accepted()
  if (before === undefined || before === desired.commit) return { ruling: unrestrained(last, desired) }
  try {
    const base = last.base?.desired.commit === before ? last.base : await openBase(guides, before, question.signal)
    if (base === undefined)
      return { ruling: unrestrained(last, desired, `${short(before)}, applied last, has errors now`) }
    return await ruleBy(guides, { ...last, base }, desired)
  } catch (error) {
    if (!(error instanceof CommitUnknown)) throw error
    return { ruling: unrestrained(last, desired, `${short(before)}, applied last, is no longer in the repository`) }
  }
}

async function ruleBy(guides: Guides, last: Remembered & { readonly base: Base }, desired: Desired): Promise<Ruled> {
  const { base } = last
  const { commit } = base.desired
  const lineage = await lineageOf(guides, commit, desired.commit)
  const approvals = guides.journal.approvals()
  const consent = consentBy(guides, base.desired, lineage)
  const by = JSON.stringify([desired.commit, commit, approvals, consent])
  if (last.ruling?.by === by) return { base, ruling: last.ruling }
  const isSigned = guides.signed === true
  const verdict = decide(desired, { base, lineage, approved: new Set(approvals), consent, isSigned })
  const left = verdict.fault === undefined ? narrow(base.left, desired.agents) : base.left
  return { base: { ...base, left }, ruling: { ...verdict, by } }
}

/** What a head is decided on by. */
export interface Docket {
  readonly base: Base
  /** What lies between the base and the head. */
  readonly lineage: Lineage
  /** Plans that were approved on the machine. */
  readonly approved: ReadonlySet<string>
  readonly consent: Consent
  /** Whether commits must be signed. */
  readonly isSigned: boolean
}

/** What of a head may be so, by the commit before it. Pure. */
export function decide(desired: Desired, { base, lineage, approved, consent, isSigned }: Docket): Verdict {
  const head = lineage.rewound
    ? warned(desired, `the branch went back: ${short(base.desired.commit)}, applied last, is no longer in it`)
    : desired
  const back = lineage.rewound && isSigned ? rewind(head, base, approved) : undefined
  const trailers = new Set(lineage.approves)
  return back ?? judge(head, { base: base.desired, left: base.left, approved, trailers, consent })
}

/** A commit that the repository's copy has lost since it was read is not one that the branch descends from. */
function lineageOf({ source }: Guides, from: string, to: string): Promise<Lineage> {
  return source.lineage(from, to).catch((error: unknown) => {
    if (!(error instanceof CommitUnknown)) throw error
    return { rewound: true, approves: [] }
  })
}

/** Nothing restrains a first commit; one that was accepted is as it was judged. */
function unrestrained({ ruling }: Remembered, desired: Desired, because?: string): Ruling {
  if (ruling?.desired.commit === desired.commit && ruling.held.length === 0 && ruling.fault === undefined) return ruling
  const head = because === undefined ? desired : warned(desired, `nothing restrains this commit: ${because}`)
  return { desired: head, held: [], by: '' }
}

function warned(desired: Desired, warning: string): Desired {
  return { ...desired, warnings: [...desired.warnings, warning] }
}

function short(commit: string): string {
  return commit.slice(0, 12)
}

async function openBase({ source, compile }: Guides, commit: string, signal: AbortSignal): Promise<Base | undefined> {
  const compiled = await compile(await source.tree(commit), signal)
  return compiled.ok ? baseOf(compiled.desired) : undefined
}

/** A commit of which nothing is held back, as what the next ones are judged by. */
export function baseOf(desired: Desired): Base {
  return { desired, left: desired.agents }
}

/** No pull request takes a branch back. */
export const wentBack: Consent = { given: false, because: 'the branch went back, which no pull request does' }

/** Reviews are of what a commit adds to the branch; where the branch went back nobody has reviewed that. */
function consentBy({ consent }: Guides, { settings: { governance } }: Desired, { commits, rewound }: Lineage): Consent {
  if (governance === undefined) return { given: true }
  const no = (because: string): Consent => ({ given: false, because })
  if (consent === undefined)
    return no('governance asks the forge for reviews: set GATEWAY_FORGE_URL and GATEWAY_FORGE_TOKEN')
  if (rewound) return wentBack
  if (commits === undefined) return no('too many commits at once to ask for the reviews of each')
  return consent(commits, governance.approvals)
}

/** A branch that goes back may bring back what was put right since: all of it waits, but what it takes away. */
function rewind(head: Desired, { desired, left }: Base, approved: ReadonlySet<string>): Verdict | undefined {
  const plan = heldPlan('rewind', desired.commit, head.commit)
  if (approved.has(plan)) return undefined
  const { commit, agents, warnings } = head
  const because = `commits must be signed, and an older one may lack what was put right; held ${howToRelease(plan, 'socket')}`
  return {
    desired: { ...desired, commit, warnings, agents: narrow(left, agents) },
    held: [{ plan, what: `the branch went back from ${short(desired.commit)} to ${short(commit)}`, because }],
  }
}
