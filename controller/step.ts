import type { Table } from '#manifests/table.ts'
import type { Parts, Target } from './generation.ts'
import type { ObservedGeneration, Sight } from './host.ts'
import type { FailureKind } from './journal/failures.ts'

/** Why a generation is not tried again, or not yet: it failed for this very commit. */
export interface Failure {
  readonly kind: FailureKind
  readonly spec: string
  readonly commit: string
  readonly reason: string
  /** How often this generation has failed, and when last, ms since the epoch. */
  readonly attempts: number
  readonly at: number
}

/** One look at everything that is outside: the host, the table that proxies hold, what is remembered, the clock. */
export interface Observed {
  readonly sight: Sight
  readonly table: Table | undefined
  /** What each generation was made from, by `<server>@<spec>`. */
  readonly known: ReadonlyMap<string, Parts>
  /** By server. */
  readonly failures: ReadonlyMap<string, Failure>
  /** What was done to servers lately. */
  readonly moves: readonly Move[]
  /** ms since the epoch */
  readonly now: number
}

/** A generation came to serve, what served was started again, or what somebody changed of it was put right. */
export interface Move {
  readonly kind: 'roll' | 'heal' | 'mend'
  readonly server: string
  readonly spec: string
  readonly commit: string
  readonly because: string
  /** ms since the epoch */
  readonly at: number
}

/** Stands for the gateway where servers are named; no server may be named so. */
export const itself = 'gateway'

export type RunTarget = Extract<Target, { kind: 'run' }>

export type Step =
  | { readonly do: 'revoke' | 'grant'; readonly agent: string; readonly because: string }
  | { readonly do: 'edge' | 'proxy'; readonly change: 'create' | 'replace' | 'mend'; readonly because: string }
  | { readonly do: 'controller'; readonly change: 'replace'; readonly because: string }
  | {
      readonly do: 'roll'
      readonly server: string
      readonly order: 'create' | 'start-first' | 'stop-first'
      readonly build: boolean
      readonly target: RunTarget
      /** How long what served before runs on, in case this one does not last, ms. */
      readonly bake: number
      readonly because: string
    }
  | { readonly do: 'route'; readonly server: string; readonly change: 'create' | 'update'; readonly because: string }
  | {
      readonly do: 'retire'
      readonly server: string
      readonly generation: ObservedGeneration
      /** It stays until what took its place has lasted so long, ms; absent where nothing did. */
      readonly bake?: { readonly target: RunTarget; readonly time: number }
      readonly because: string
    }
  | {
      readonly do: 'resume'
      readonly server: string
      readonly generation: ObservedGeneration
      readonly because: string
    }
  | { readonly do: 'mend'; readonly server: string; readonly target: RunTarget; readonly because: string }
  | {
      readonly do: 'halt'
      readonly server: string
      readonly target: RunTarget
      readonly kind: 'crash-loop' | 'loop'
      readonly because: string
    }
  | {
      readonly do: 'remove'
      readonly server: string
      /** Stopped and kept, so that a revert brings it back at once; later gone for good. */
      readonly change: 'stop' | 'forget'
      readonly because: string
    }
  | {
      readonly do: 'hold'
      readonly server: string
      readonly phase: 'waiting' | 'stalled' | 'suspended'
      readonly because: string
    }
