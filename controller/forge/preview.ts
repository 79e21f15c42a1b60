import { aimAt } from '../aim.ts'
import { usualSettings } from '../compile/gateway.ts'
import type { Consent } from '../consent.ts'
import { type Compiled, type Desired, describeFault } from '../desired.ts'
import { explainLines } from '../explain.ts'
import { judge } from '../judge.ts'
import { plan } from '../plan.ts'
import { anyMachine, settled, wantedOf } from '../settled.ts'
import { accessChanges, escalations, type KnownTools, loosenings } from './access.ts'

/** What merging a pull request would do, and whether that may be. */
export type Preview =
  | { readonly kind: 'invalid'; readonly errors: readonly string[] }
  | {
      readonly kind: 'valid'
      /** The plan, in Terraform's notation, with its sum as last line. */
      readonly plan: readonly string[]
      readonly gains: readonly string[]
      readonly losses: readonly string[]
      readonly escalations: readonly string[]
      readonly loosens: readonly string[]
      readonly removed: readonly string[]
      /** What would wait, and what releases it. */
      readonly held: readonly string[]
      /** What this machine lacks for it; names only. */
      readonly lacks: readonly string[]
      readonly warnings: readonly string[]
    }

/** What a preview is made from, beside the tree that the merge would make. */
export interface Circumstances {
  /** The branch as it is, if that compiles. */
  readonly tip: Desired | undefined
  /** The last commit of which nothing was held back. */
  readonly accepted: Desired | undefined
  readonly known: KnownTools
  readonly consent: Consent
  /** Names in the secrets file; absent where they are nobody's business. */
  readonly secrets?: ReadonlySet<string>
}

const nothing: Desired = { commit: '', agents: {}, servers: {}, settings: usualSettings, warnings: [] }

/** Pure. No fact of the machine is in it but the names of what it lacks. */
export function previewOf(merged: Compiled, circumstances: Circumstances): Preview {
  if (!merged.ok) return { kind: 'invalid', errors: merged.faults.map(describeFault) }
  const { desired } = merged
  const { tip, accepted, known, consent } = circumstances
  const before = tip ?? accepted ?? nothing
  const base = accepted ?? tip
  const verdict = judge(desired, { base, approved: new Set(), trailers: new Set(), consent })
  if (verdict.fault !== undefined) return { kind: 'invalid', errors: [verdict.fault] }
  const changes = accessChanges(before.agents, desired.agents, known)
  return {
    kind: 'valid',
    plan: planLines(before, desired),
    gains: changes.filter(({ kind }) => kind === 'gains').map(({ text }) => text),
    losses: changes.filter(({ kind }) => kind === 'loses').map(({ text }) => text),
    escalations: escalations(before, desired),
    loosens: loosenings(before, desired),
    removed: Object.keys(before.servers).filter((name) => desired.servers[name] === undefined),
    held: verdict.held.map(({ what, because }) => `${what} (${because})`),
    lacks: lacksOf(desired, circumstances.secrets),
    warnings: desired.warnings,
  }
}

function planLines(before: Desired, after: Desired): readonly string[] {
  const machine = anyMachine(before, after)
  const aim = aimAt(after, machine)
  return explainLines(plan(aim, wantedOf(aim), settled(aimAt(before, machine))))
}

function lacksOf({ servers }: Desired, secrets: ReadonlySet<string> | undefined): readonly string[] {
  if (secrets === undefined) return []
  return Object.values(servers).flatMap(({ name, secrets: needed }) => {
    const missing = [...new Set(Object.values(needed))].filter((secret) => !secrets.has(secret)).sort()
    return missing.length === 0 ? [] : [`${name} waits until the secrets file has ${missing.join(', ')}`]
  })
}
