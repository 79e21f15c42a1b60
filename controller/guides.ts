import type { Logger } from 'pino'
import type { Chronicle } from './chronicle.ts'
import type { Consent } from './consent.ts'
import type { Compiled, Tree } from './desired.ts'
import type { Machine } from './generation.ts'
import type { Journal } from './journal/journal.ts'
import type { Publisher } from './publish.ts'
import type { Vetted } from './trust/vet.ts'

/** What lies between a commit and a later one. */
export interface Lineage {
  /** Whether the later one does not descend from the other. */
  readonly rewound: boolean
  /** Values of `Gateway-Approve` trailers of the commits between, and of the later one. */
  readonly approves: readonly string[]
  /** Commits of the branch after the first, up to the later one, which is the last; absent where they are too many to tell. */
  readonly commits?: readonly string[]
}

/** What a pass reads the repository through. */
export interface Origin {
  /** The head of the branch; undefined while the repository does not answer, which it says itself. */
  fetch(signal: AbortSignal): Promise<Tree | undefined>
  /** How long it is left alone by itself, ms: 0 while it answers. */
  patience(): number
  /** Throws `CommitUnknown` where the repository's copy lacks it. */
  tree(commit: string): Promise<Tree>
  /** Commits between two heads that no pass looked at, newest first, bounded. */
  skipped(from: string, to: string): Promise<readonly string[]>
  /** How one commit of the branch leads to another; rejects where one of them is not known. */
  lineage(from: string, to: string): Promise<Lineage>
  /** A commit as far as it is signed since `base`; undefined while that cannot be told, which it says itself. */
  vet(head: Tree, base: string | undefined, signal: AbortSignal): Promise<Vetted | undefined>
}

/** What a heading is taken by. */
export interface Guides {
  readonly source: Origin
  readonly compile: (tree: Tree, signal: AbortSignal) => Promise<Compiled>
  readonly machine: () => Promise<Machine>
  readonly publisher: Publisher
  readonly journal: Journal
  readonly chronicle: Chronicle
  readonly log: Logger
  /** What others have said of these commits, as far as it is known; whoever answers asks for a pass when that changes. */
  readonly consent?: (commits: readonly string[], approvals: number) => Consent
  /** Whether commits must be signed: then a branch that goes back waits to be approved. */
  readonly signed?: boolean
}
