import { announced, type Heeds } from './heed.ts'
import type { Listener, View } from './news.ts'
import type { Probes } from './probe.ts'
import { grantedServers, grantOf, type Snapshot, servingTarget } from './table.ts'

/** Gives the view that somebody has now. A server that is being replaced looks as it did before. */
export function createViews(
  { probes, heeds }: Looking,
  current: () => Snapshot | undefined,
): (listener: Pick<Listener, 'agent' | 'only'>) => View {
  const last = new Map<string, View>()
  return ({ agent, only }) => {
    const snapshot = current()
    if (snapshot === undefined) return unseen
    const seen = grantedServers(snapshot, agent).filter((server) => only === undefined || server === only)
    const servers = seen.map((server) => {
      const look = lookAt(snapshot, { probes, heeds }, server) ?? last.get(server) ?? unseen
      last.set(server, look)
      return { server, look, grant: grantOf(snapshot, agent, server), prefix: snapshot.servers.get(server)?.prefix }
    })
    const part = (kind: keyof View) =>
      JSON.stringify(servers.map(({ server, look, grant, prefix }) => [server, prefix, grant?.[kind], look[kind]]))
    return { tools: part('tools'), prompts: part('prompts'), resources: part('resources') }
  }
}

interface Looking {
  readonly probes: Probes
  readonly heeds: Heeds
}

const unseen: View = { tools: '', prompts: '', resources: '' }

function lookAt(snapshot: Snapshot, { probes, heeds }: Looking, server: string): View | undefined {
  const target = servingTarget(snapshot, server)
  const found = target && probes.known(target.generation)
  if (target === undefined || found === undefined) return undefined
  const { generation, pins } = target
  const told = announced(found)
  const rest = (kind: 'prompts' | 'resources') =>
    told.includes(kind) ? `${generation} ${heeds.changes(generation, kind)}` : found.inventory.digests[kind]
  return { tools: `${found.digest} ${pins?.digest ?? ''}`, prompts: rest('prompts'), resources: rest('resources') }
}
