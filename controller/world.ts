import type { Bell } from './bell.ts'
import type { Tree } from './desired.ts'
import type { Host } from './host.ts'
import type { Journal } from './journal/journal.ts'
import type { Say } from './lanes.ts'
import type { Meters } from './meters.ts'
import type { Publisher } from './publish.ts'
import type { Repairs } from './repairs.ts'
import type { Draft } from './routes.ts'
import type { Step } from './step.ts'
import type { Turn } from './turn.ts'

/** What steps act with. */
export interface World {
  readonly host: Host
  /** Rings when something on the host may have changed by itself. */
  readonly stir: Bell
  readonly publisher: Publisher
  readonly journal: Pick<Journal, 'remember' | 'recover' | 'fail' | 'failures' | 'move' | 'moves' | 'forgetMoves'>
  readonly meters: Pick<Meters, 'built' | 'rolled'>
  readonly repairs: Repairs
  /** One build at a time. */
  readonly builds: Turn
  /** Begins the log of a build; gives what takes its lines. */
  readonly buildLog: (server: string) => (line: string) => void
  /** Gives the draft every grant whose server is ready by now. */
  readonly admit: (draft: Draft) => Draft
}

export interface Progress {
  readonly say: Say
  readonly signal: AbortSignal
}

/** Where the build input comes from, and what must stand before a server starts. */
export interface Origin {
  readonly tree: Tree
  /** Resolves once edge and proxy stand; throws `HostDown` while they cannot. */
  readonly gateway: () => Promise<void>
}

export type Roll = Extract<Step, { do: 'roll' }>
export type Retire = Extract<Step, { do: 'retire' }>
export type Remove = Extract<Step, { do: 'remove' }>
export type Mend = Extract<Step, { do: 'mend' }>
export type Halt = Extract<Step, { do: 'halt' }>
