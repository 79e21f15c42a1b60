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
  const { agents, servers, revision } = snapshot
  return [200, { status: down ? 'degraded' : 'healthy', agents: agents.size, servers: servers.size, revision }]
}
