import { grantChanges } from './admission.ts'
import type { Aim } from './aim.ts'
import type { Wanted } from './host.ts'
import { planGateway } from './plan-gateway.ts'
import { planServer } from './plan-server.ts'
import type { Observed, Step } from './step.ts'

/**
 * Desired − observed, each step with its cause. Pure; the order of the result is the order in which people read it:
 * revocations, edge, proxy, servers by name, grants.
 */
export function plan(aim: Aim, wanted: Wanted, observed: Observed): readonly Step[] {
  const grants = grantChanges(observed.table?.agents ?? {}, aim.agents)
  const servers = new Set([
    ...Object.keys(aim.targets),
    ...Object.keys(observed.table?.servers ?? {}),
    ...observed.sight.generations.map(({ server }) => server),
    ...(observed.sight.left ?? []),
  ])
  return [
    ...grants
      .filter(({ kind }) => kind === 'revoke')
      .map(({ agent, because }): Step => ({ do: 'revoke', agent, because })),
    ...planGateway(aim, wanted, observed),
    ...[...servers].sort().flatMap((server) => planServer(server, aim, observed)),
    ...grants
      .filter(({ kind }) => kind === 'grant')
      .map(({ agent, because }): Step => ({ do: 'grant', agent, because })),
  ]
}
