import { narrow } from '../admission.ts'
import type { Consent } from '../consent.ts'
import { type Compiled, type Desired, describeFault } from '../desired.ts'
import { explainLines } from '../explain.ts'
import { foresee, nothing } from '../foresee.ts'
import { neededSecrets } from '../generation.ts'
import type { Verdict } from '../judge.ts'
import { type Base, decide, wentBack } from '../ruling.ts'
import { accessChanges, escalations, type KnownTools, loosenings } from './access.ts'
import type { Reading, Readings } from './compile-apart.ts'

/** What merging a pull request would do, and whether that may be. */
export type Preview =
  | { readonly kind: 'invalid'; readonly errors: readonly string[] }
  | {
      readonly kind: 'valid'
      /** What the merge would do at once, in Terraform's notation, with its sum as last line. */
      readonly plan: readonly string[]
      /** The same once all is approved that would be held; absent where that is no other. */
      readonly later?: readonly string[]
      readonly gains: readonly string[]
      readonly losses: readonly string[]
      readonly escalations: readonly string[]
      readonly loosens: readonly string[]
      readonly removed: readonly string[]
      /** What would wait, and what releases it. */
      readonly held: readonly string[]
      /** Whether commits must be signed. */
      readonly isSigned: boolean
      /** What this machine lacks for it; names only. */
      readonly lacks: readonly string[]
      readonly warnings: readonly string[]
    }

/** What a preview is made by, beside what was read of commits. */
export interface Circumstances {
  /** What of the accepted commit's agents no commit since has taken away; default all of it. */
  readonly left?: Desired['agents'] | undefined
  readonly approved: readonly string[]
  readonly isSigned: boolean
  readonly known: KnownTools
  /** What others have said of what is on the branch already, and of that with the pull request. */
  readonly consent: { readonly branch: Consent; readonly merged: Consent }
  /** Names in the secrets file; absent where they are nobody's business. */
  readonly secrets?: ReadonlySet<string>
}

/** Pure. No fact of the machine is in it but the names of what it lacks. */
export function previewOf(readings: Readings, circumstances: Circumstances): Preview {
  const { merged, tip, accepted } = readings
  if (!merged.whole.ok) return { kind: 'invalid', errors: merged.whole.faults.map(describeFault) }
  const { desired } = merged.whole
  const judged = (reading: Reading, compiled: Desired, consent: Consent) =>
    ruled(compiled, reading, { ...circumstances, accepted: desiredOf(accepted), consent })
  const { branch, merged: consent } = circumstances.consent
  const { fault } = judged(merged, desired, consent)
  if (fault !== undefined) return { kind: 'invalid', errors: [fault] }
  const inForce = tip.trusted.ok ? judged(tip, tip.trusted.desired, branch).desired : desiredOf(accepted)
  const now = usable(merged.trusted, (compiled) => judged(merged, compiled, consent), inForce ?? nothing)
  const before = desiredOf(tip.whole) ?? inForce ?? nothing
  const changes = accessChanges(before.agents, desired.agents, circumstances.known)
  const atOnce = explainLines(foresee(inForce ?? nothing, now.desired))
  const later = explainLines(foresee(inForce ?? nothing, desired))
  return {
    kind: 'valid',
    plan: atOnce,
    ...(atOnce.join('\n') === later.join('\n') ? {} : { later }),
    gains: changes.filter(({ kind }) => kind === 'gains').map(({ text }) => text),
    losses: changes.filter(({ kind }) => kind === 'loses').map(({ text }) => text),
    escalations: escalations(before, desired),
    loosens: loosenings(before, desired),
    removed: Object.keys(before.servers).filter((name) => desired.servers[name] === undefined),
    held: [...merged.held, ...now.held].map(({ what, because }) => unnamed(`${what} (${because})`, desired)),
    isSigned: circumstances.isSigned,
    lacks: lacksOf(desired, circumstances.secrets),
    warnings: [...new Set([...desired.warnings, ...now.desired.warnings])],
  }
}

interface Bar extends Pick<Circumstances, 'left' | 'approved' | 'isSigned'> {
  readonly accepted: Desired | undefined
  readonly consent: Consent
}

/** As a pass would judge it. Nothing restrains what follows no commit that can be read. */
function ruled(desired: Desired, { lineage }: Reading, bar: Bar): Verdict {
  const { accepted, left, approved, isSigned } = bar
  if (accepted === undefined || lineage === undefined) return { desired, held: [] }
  const base: Base = { desired: accepted, left: left ?? accepted.agents }
  const consent = lineage.rewound ? wentBack : bar.consent
  return decide(desired, { base, lineage, approved: new Set(approved), consent, isSigned })
}

/** Where what is signed makes no commit by itself, it takes away what it does, and adds nothing. */
function usable(trusted: Compiled, judged: (compiled: Desired) => Verdict, inForce: Desired): Verdict {
  const verdict = trusted.ok ? judged(trusted.desired) : undefined
  if (verdict !== undefined && verdict.fault === undefined) return verdict
  const { agents } = trusted.ok ? trusted.desired : trusted
  const error = trusted.ok ? verdict?.fault : trusted.faults.map(describeFault)[0]
  const warnings = [`nothing is added before what is held is approved: ${error}`]
  const left = agents === undefined ? inForce.agents : narrow(inForce.agents, agents)
  return { desired: { ...inForce, agents: left, warnings }, held: [] }
}

/** The merge is not made yet: what stands for it here has a name that nobody will see again. */
function unnamed(text: string, { commit }: Desired): string {
  return text.replaceAll(new RegExp(`(?:merge )?${commit.slice(0, 12)}`, 'g'), 'the merge')
}

function desiredOf(compiled: Compiled | undefined): Desired | undefined {
  return compiled?.ok === true ? compiled.desired : undefined
}

function lacksOf({ servers }: Desired, secrets: ReadonlySet<string> | undefined): readonly string[] {
  if (secrets === undefined) return []
  return Object.values(servers).flatMap(({ name, ...server }) => {
    const missing = [...new Set(neededSecrets(server))].filter((secret) => !secrets.has(secret)).sort()
    return missing.length === 0 ? [] : [`${name} waits until the secrets file has ${missing.join(', ')}`]
  })
}
