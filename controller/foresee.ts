import { aimAt } from './aim.ts'
import { usualSettings } from './compile/gateway.ts'
import type { Desired } from './desired.ts'
import { plan } from './plan.ts'
import { anyMachine, settled, wantedOf } from './settled.ts'
import type { Step } from './step.ts'

/** What is applied where nothing ever was. */
export const nothing: Desired = { commit: '', agents: {}, servers: {}, settings: usualSettings, warnings: [] }

/** What would be done for one commit where another is applied, when no machine is asked. Pure. */
export function foresee(before: Desired, after: Desired): readonly Step[] {
  const machine = anyMachine(before, after)
  const aim = aimAt(after, machine)
  return plan(aim, wantedOf(aim), settled(aimAt(before, machine)))
}
