import type { CommitStatus, ServerStatus } from '#manifests/status.ts'
import type { Parts } from './generation.ts'
import type { Sight } from './host.ts'
import type { Attempt } from './journal/failures.ts'
import type { Standing } from './outcome.ts'
import type { Move, Step } from './step.ts'

/** All that an account of a server or an agent is made of. */
export interface Records {
  readonly standing: Standing
  readonly sight: Sight
  /** As the operator's status shows them. */
  readonly servers: readonly ServerStatus[]
  /** What a pass would do now. */
  readonly steps: readonly Step[]
  readonly known: ReadonlyMap<string, Parts>
  readonly failures: readonly Attempt[]
  readonly moves: readonly Move[]
  readonly history: readonly CommitStatus[]
  /** Where grants are written. */
  readonly grantsFile: string
}

export interface Fact {
  readonly what: string
  readonly is: string
}
