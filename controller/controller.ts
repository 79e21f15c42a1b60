import type { CommitStatus, Status } from '#manifests/status.ts'

/** Why a pass is wanted; goes into the log, never decides anything. */
export type Poke = 'start' | 'poll' | 'webhook' | 'secrets' | 'drift' | 'cli' | 'retry' | 'rollout'

/** What the status page, the admin socket and the CLI see of a running controller. */
export interface Controller {
  /** What is true now. The operator's view adds access and logs. */
  status(view: 'public' | 'operator'): Promise<Status>
  /** What became of a commit, by its full hash; waits up to `wait` ms for a final phase. Undefined if it was never seen. */
  commit(sha: string, wait: number, signal: AbortSignal): Promise<CommitStatus | undefined>
  /** Newest first. */
  history(limit: number): readonly CommitStatus[]
  /** What is said of commits from now on, the newest of each; undefined after each `beat` ms of silence. */
  news(beat: number, signal: AbortSignal): AsyncGenerator<CommitStatus | undefined>
  /** All metrics in Prometheus' text format. */
  metrics(): Promise<string>
  /** Asks for a pass; returns at once. Any number of pokes before the next pass are one. */
  poke(why: Poke): void
  /** Asks for a pass and waits until the head of the branch has a final phase. Throws `SourceDown` while nobody can tell what that is. */
  reconcile(signal: AbortSignal): Promise<CommitStatus>
  /** Resolves at the next change of anything that `status` tells, or after `wait` ms. */
  changed(wait: number, signal: AbortSignal): Promise<void>
  /** Whether lease, source, host and proxies are fine; reasons of what is not. */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[] }
  /** Stops and removes everything of this instance. */
  down(options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void>
}
