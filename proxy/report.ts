import type { Definition } from '#manifests/definition.ts'
import type { Report } from '#manifests/table.ts'
import type { Gateway } from './gateway.ts'

/**
 * What a proxy tells the controller: the revision in force, and what it sees of each generation; of those that it was asked about,
 * what their tools are.
 */
export function reportOf(gateway: Gateway, asks: readonly string[]): Report {
  const { config, holder, counters, exchanges, sessions, probes, inspection, budgets } = gateway
  const snapshot = holder.current
  const generations = [...(snapshot?.targets.keys() ?? [])].map((generation) => {
    const probe = probes.probe(generation)
    const found = inspection.of(generation)
    const counts = { calls: exchanges.calls(generation), sessions: sessions.count(generation), ...found }
    return [generation, probe === undefined ? counts : { ...counts, probe }] as const
  })
  const uses = budgets.uses()
  return {
    proxy: config.name,
    have: snapshot?.revision ?? 0,
    counters: { ...counters },
    generations: Object.fromEntries(generations),
    ...(asks.length === 0 ? {} : { definitions: definitionsOf(gateway, asks) }),
    ...(uses === undefined ? {} : { budgets: uses }),
  }
}

/** Characters of definitions in one report; what does not fit is asked for again. */
const room = 2_000_000

function definitionsOf({ probes }: Gateway, asks: readonly string[]): NonNullable<Report['definitions']> {
  let left = room
  const known = asks.flatMap((generation): [string, Definition[]][] => {
    const definitions = probes.known(generation)?.definitions
    const size = definitions?.reduce((sum, { text }) => sum + text.length, 0) ?? 0
    if (definitions === undefined || size > left) return []
    left -= size
    return [[generation, [...definitions]]]
  })
  return Object.fromEntries(known)
}
