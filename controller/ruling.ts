import { narrow } from './admission.ts'
import type { Desired } from './desired.ts'
import type { Guides, Lineage } from './guides.ts'
import { heldPlan, howToRelease } from './held.ts'
import { type Consent, judge, type Verdict } from './judge.ts'

/** The last commit of which nothing was held back, compiled. */
export interface Base {
  readonly commit: string
  readonly desired: Desired
}

/** What of a head may be so, and what that was judged by. */
export interface Ruling extends Verdict {
  /** Equal for equal circumstances: then it is not judged again. */
  readonly by: string
  readonly rewound: boolean
}

/** What the last ruling left. */
export interface Remembered {
  readonly base?: Base
  readonly ruling?: Ruling
}

/** Judges a head by the commit before it, what operators have approved and what others have consented to. */
export async function rule(
  guides: Guides,
  last: Remembered,
  { desired, signal }: { readonly desired: Desired; readonly signal: AbortSignal },
): Promise<Remembered & { readonly ruling: Ruling }> {
  const { commit } = desired
  const base = await baseOf(guides, last, signal)
  if (base === undefined || base.commit === commit) return { ruling: unrestrained(last, desired) }
  const lineage = await guides.source.lineage(base.commit, commit).catch(() => undefined)
  if (lineage === undefined) return { ruling: unrestrained(last, desired) }
  const approvals = guides.journal.approvals()
  const consent = consentTo(guides, base.desired, lineage)
  const by = JSON.stringify([commit, base.commit, approvals, consent])
  if (last.ruling?.by === by) return { base, ruling: last.ruling }
  const approved = new Set(approvals)
  const back = lineage.rewound && guides.signed === true ? rewind(desired, base, approved) : undefined
  const verdict = back ?? judge(desired, { base: base.desired, approved, trailers: new Set(lineage.approves), consent })
  return { base, ruling: { ...verdict, by, rewound: lineage.rewound } }
}

/** Nothing restrains a first commit, nor one that was accepted before. */
function unrestrained({ ruling }: Remembered, desired: Desired): Ruling {
  const by = JSON.stringify([desired.commit])
  return ruling?.by === by ? ruling : { desired, held: [], by, rewound: false }
}

async function baseOf(guides: Guides, { base }: Remembered, signal: AbortSignal): Promise<Base | undefined> {
  const commit = guides.journal.accepted()
  if (commit === undefined || base?.commit === commit) return base
  const tree = await guides.source.tree(commit).catch(() => undefined)
  if (tree === undefined) return undefined
  const compiled = await guides.compile(tree, signal)
  return compiled.ok ? { commit, desired: compiled.desired } : undefined
}

function consentTo({ consent }: Guides, { settings }: Desired, { commits }: Lineage): Consent {
  if (settings.governance === undefined) return { given: true }
  if (consent === undefined)
    return {
      given: false,
      because: 'governance asks the forge for reviews: set GATEWAY_FORGE_URL and GATEWAY_FORGE_TOKEN',
    }
  return consent(commits, settings.governance.approvals)
}

/** A branch that goes back may bring back what was put right since: all of it waits, but what it takes away. */
function rewind(head: Desired, base: Base, approved: ReadonlySet<string>): Verdict | undefined {
  const plan = heldPlan('rewind', base.commit, head.commit)
  if (approved.has(plan)) return undefined
  const names = `${base.commit.slice(0, 12)} to ${head.commit.slice(0, 12)}`
  const because = `commits must be signed, and an older one may lack what was put right; held ${howToRelease(plan, 'socket')}`
  const desired = { ...base.desired, commit: head.commit, agents: narrow(base.desired.agents, head.agents) }
  return { desired, held: [{ plan, what: `the branch went back from ${names}`, because }] }
}
