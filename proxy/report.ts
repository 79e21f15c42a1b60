import type { Report } from '#manifests/table.ts'
import type { Gateway } from './gateway.ts'

/** What a proxy tells the controller: the revision in force, and what it sees of each generation. */
export function reportOf({ config, holder, counters, exchanges, sessions, probes }: Gateway): Report {
  const snapshot = holder.current
  const generations = [...(snapshot?.targets.keys() ?? [])].map((generation) => {
    const probe = probes.probe(generation)
    const counts = { calls: exchanges.calls(generation), sessions: sessions.count(generation) }
    return [generation, probe === undefined ? counts : { ...counts, probe }] as const
  })
  return {
    proxy: config.name,
    have: snapshot?.table.revision ?? 0,
    counters: { ...counters },
    generations: Object.fromEntries(generations),
  }
}
