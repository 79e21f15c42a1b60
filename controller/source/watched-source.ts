import type { Logger } from 'pino'
import { type Status, unasked } from '#manifests/status.ts'
import { createBackoff } from '../backoff.ts'
import type { Tree } from '../desired.ts'
import type { Origin } from '../guides.ts'
import type { Vetted } from '../trust/vet.ts'
import { type Source, SourceDown } from './source.ts'

/** A source that does not throw when it is down, but says so. */
export interface WatchedSource extends Origin {
  state(): Status['source']
  /** How long it is left alone by itself, ms: 0 while it answers, longer with each failure. */
  patience(): number
}

export function watchSource(source: Source, log: Logger): WatchedSource {
  let state: Status['source'] = { ok: false, reason: unasked }
  const backoff = createBackoff(5_000, 300_000)
  let again = 0

  function down(error: SourceDown): undefined {
    if (state.ok || state.reason !== error.message)
      log.warn({ reason: error.message }, 'the repository does not answer')
    state = { ...state, ok: false, reason: error.message }
    again = Date.now() + backoff.next()
  }

  return {
    state: () => state,
    patience: () => Math.max(0, again - Date.now()),
    tree: (commit) => source.tree(commit),
    skipped: (from, to) => source.skipped(from, to),
    lineage: (from, to) => source.lineage(from, to),
    async vet(head, base, signal): Promise<Vetted | undefined> {
      try {
        return await source.vet(head, base, signal)
      } catch (error) {
        if (error instanceof SourceDown) return down(error)
        throw error
      }
    },
    async fetch(signal): Promise<Tree | undefined> {
      try {
        const tree = await source.fetch(signal)
        state = { ok: true, reason: 'answers', at: new Date().toISOString() }
        backoff.reset()
        again = 0
        return tree
      } catch (error) {
        if (error instanceof SourceDown) return down(error)
        throw error
      }
    },
  }
}
