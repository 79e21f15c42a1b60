import type { CommitStatus } from '#manifests/status.ts'
import type { Journal } from './journal/journal.ts'
import { isFinal } from './outcome.ts'

/** What is told of commits: the current one, and what became of those before it. */
export interface Chronicle {
  readonly current: CommitStatus | undefined
  /** A commit that is now the head of the branch; what it overtakes is superseded by it. */
  see(commit: string, skipped: readonly string[]): void
  /** Says more of the current commit; the same again changes nothing. */
  tell(more: Partial<Omit<CommitStatus, 'commit' | 'seen' | 'since'>>): void
  /** Adds a line to what was put right while the current commit was current. */
  repair(line: string): void
}

/** Lines of what was put right that are kept for each commit. */
const repairsKept = 20

export function createChronicle(journal: Journal, onChange: (status: CommitStatus) => void): Chronicle {
  let current: CommitStatus | undefined

  /** What could not be kept was not told: it is told again. */
  function put(status: CommitStatus): void {
    journal.record(status)
    onChange(status)
  }

  function begin(status: CommitStatus): void {
    journal.begin(status)
    onChange(status)
  }

  function tell(more: Partial<CommitStatus>): void {
    if (current === undefined) return
    const next = { ...current, ...more }
    if (JSON.stringify(next) === JSON.stringify(current)) return
    const status = next.phase === current.phase ? next : { ...next, since: now() }
    put(status)
    current = status
  }

  return {
    tell,
    repair: (line) => tell({ repaired: [...(current?.repaired ?? []), line].slice(-repairsKept) }),
    get current() {
      return current
    },
    see(commit, skipped) {
      const before = current ?? journal.history(1)[0]
      if (before?.commit === commit) {
        current = before
        return
      }
      const reason = `superseded by ${commit.slice(0, 12)}`
      if (before !== undefined && !isFinal(before.phase)) put({ ...before, phase: 'superseded', reason, since: now() })
      for (const sha of skipped.toReversed())
        if (journal.commit(sha) === undefined) begin({ ...seen(sha), phase: 'superseded', reason })
      const head = seen(commit)
      begin(head)
      current = head
    },
  }
}

function seen(commit: string): CommitStatus {
  const at = now()
  return { commit, phase: 'seen', seen: at, since: at, reason: 'fetched', errors: [], plan: [], servers: {} }
}

function now(): string {
  return new Date().toISOString()
}
