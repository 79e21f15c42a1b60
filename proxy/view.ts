import type { View } from './news.ts'
import type { Probes } from './probe.ts'
import { grantedServers, grantOf, type Snapshot, servingTarget } from './table.ts'

/** Gives the view that an agent has now. A server that is being replaced looks as it did before. */
export function createViews(probes: Probes, current: () => Snapshot | undefined): (agent: string) => View {
  const last = new Map<string, Look>()
  return (agent) => {
    const snapshot = current()
    if (snapshot === undefined) return { tools: '', prompts: '', resources: '' }
    const servers = grantedServers(snapshot, agent).map((server) => {
      const look = lookAt(snapshot, probes, server) ?? last.get(server) ?? { tools: '', rest: '' }
      last.set(server, look)
      return { server, look, grant: grantOf(snapshot, agent, server), prefix: snapshot.servers.get(server)?.prefix }
    })
    const part = (kind: keyof View) =>
      JSON.stringify(
        servers.map(({ server, look, grant, prefix }) => [
          server,
          prefix,
          grant?.[kind],
          kind === 'tools' ? look.tools : look.rest,
        ]),
      )
    return { tools: part('tools'), prompts: part('prompts'), resources: part('resources') }
  }
}

interface Look {
  readonly tools: string
  /** Only a new generation shows that something else than its tools changed. */
  readonly rest: string
}

function lookAt(snapshot: Snapshot, probes: Probes, server: string): Look | undefined {
  const target = servingTarget(snapshot, server)
  const found = target && probes.known(target.generation)
  return target && found && { tools: `${found.digest} ${target.pins?.digest ?? ''}`, rest: target.generation }
}
