import type { Agent, Desired, Settings } from './desired.ts'
import { type Machine, type Target, target } from './generation.ts'
import type { Held } from './held.ts'
import { type Glass, withBreakGlass } from './trust/break-glass.ts'

/** What a commit asks of this machine. */
export interface Aim {
  readonly commit: string
  readonly agents: Readonly<Record<string, Agent>>
  readonly targets: Readonly<Record<string, Target>>
  readonly settings: Settings
  /** Parts of the commit that are not applied until somebody says so. */
  readonly held?: readonly Held[]
  /** Who is let in whatever the commit says; they are among the agents already. */
  readonly glass?: Glass
  /** Servers that an operator has suspended, each with the words for it: nothing is done to them. */
  readonly suspended?: ReadonlyMap<string, string>
  /** Servers that an operator has rolled back, each with the words for it. */
  readonly pinned?: ReadonlyMap<string, string>
}

/** What the commit asks of this very machine. */
export function aimAt({ commit, agents, servers, settings }: Desired, machine: Machine): Aim {
  const targets = Object.values(servers).map((server) => [server.name, target(server, commit, machine)] as const)
  const { glass } = machine
  const admitted = withBreakGlass(agents, glass, Object.keys(servers))
  return { commit, agents: admitted, targets: Object.fromEntries(targets), settings, ...(glass && { glass }) }
}
