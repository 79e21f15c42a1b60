import type { Gateway } from './gateway.ts'
import { servingTarget } from './table.ts'

/** What `/health` says: status, and its body. */
export function healthOf({ holder, probes }: Gateway): readonly [number, object] {
  const snapshot = holder.current
  if (snapshot === undefined) return [503, { status: 'starting' }]
  const down = [...snapshot.servers.keys()].some((server) => {
    const target = servingTarget(snapshot, server)
    return target === undefined || probes.probe(target.generation)?.ok === false
  })
  const { revision } = snapshot.table
  return [
    200,
    { status: down ? 'degraded' : 'healthy', agents: snapshot.agents.size, servers: snapshot.servers.size, revision },
  ]
}
