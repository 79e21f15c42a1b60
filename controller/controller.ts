import type { Account } from '#manifests/account.ts'
import type { ListedServer } from '#manifests/lock.ts'
import type { CommitStatus, PullStatus, Status } from '#manifests/status.ts'
import type { LogQuestion } from './log-question.ts'
import type { Word } from './narration.ts'

/** Somebody asked for what cannot be done; says what could be. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

/** What the status page, the admin socket and the CLI see of a running controller. */
export interface Controller {
  /** What is true now. The operator's view adds access and logs. */
  status(view: 'public' | 'operator'): Promise<Status>
  /** What became of a commit, by its full hash; waits up to `wait` ms for a final phase. Undefined if it was never seen. */
  commit(sha: string, wait: number, signal: AbortSignal): Promise<CommitStatus | undefined>
  /** What merging an open pull request would do; undefined of one that was not looked at. The operator's view adds access. */
  pull(number: number, view: 'public' | 'operator'): PullStatus | undefined
  /** Newest first. */
  history(limit: number): readonly CommitStatus[]
  /** What is said of commits from now on, the newest of each; undefined after each `beat` ms of silence. */
  news(beat: number, signal: AbortSignal): AsyncGenerator<CommitStatus | undefined>
  /** All metrics in Prometheus' text format. */
  metrics(): Promise<string>
  /** Asks for a pass; returns at once. Any number of pokes before the next pass are one. */
  poke(): void
  /** Asks for a pass and waits until the head of the branch has a final phase. Throws `SourceDown` while nobody can tell what that is. */
  reconcile(signal: AbortSignal): Promise<CommitStatus>
  /** What servers do and their builds say, from this moment on; undefined after each `beat` ms of silence. */
  narrate(beat: number, signal: AbortSignal): AsyncGenerator<Word | undefined>
  /** Why a server or an agent is as it is; with a tool, whether the agent may call it. Throws `Refused` for neither. */
  explain(name: string, tool: string | undefined): Promise<Account>
  /** The tools of each server, or of one, as its serving generation has them now. Throws `Refused` for a server that is not there. */
  tools(server: string | undefined, signal: AbortSignal): Promise<readonly ListedServer[]>
  /** Last lines of a server's output, of the proxy's for `gateway`. Throws `Refused` where there is none. */
  log(question: LogQuestion, signal: AbortSignal): Promise<string>
  /** The same and all that comes from then on, until the signal. */
  follow(question: LogQuestion, signal: AbortSignal): AsyncGenerator<string>
  /** Output of a server's last build. Throws `Refused` where it was not built since the controller started. */
  buildLog(question: LogQuestion): string
  /** Resolves at the next change of anything that `status` tells, or after `wait` ms. */
  changed(wait: number, signal: AbortSignal): Promise<void>
  /** Whether lease, source, host and proxies are fine; reasons of what is not. */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[] }
  /** Lets a part of the commit be applied that is held. Throws `Refused` where none is called so. */
  approve(plan: string): void
  /** Does nothing to a server, or to any (`*`), until it is resumed; calls and grants go on. */
  suspend(server: string): void
  /** Ends a suspension, and a rollback. */
  resume(server: string): void
  /** Forgets that a server failed, and tries it again. */
  retry(server: string): void
  /** Runs a server as an earlier commit had it, until the branch changes it: as the one kept ready, or as `to` says. */
  rollback(server: string, to: string | undefined, signal: AbortSignal): Promise<{ readonly commit: string }>
  /** Stops and removes everything of this instance. */
  down(options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void>
}
