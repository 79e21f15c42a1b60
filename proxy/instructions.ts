import { leadOf } from './names.ts'
import { grantedServers, type Snapshot } from './table.ts'

/** What an agent is told of the joint endpoint: its servers as the manifests describe them, or where to ask for one. */
export function instructionsFor(snapshot: Snapshot, agent: string): string {
  const servers = grantedServers(snapshot, agent)
  if (servers.length === 0)
    return `${agent} may use no server. Access is granted by a change of agents.${agent}.servers in ${snapshot.table.grantsFile}.`
  const sections = servers.map((server) => {
    const { prefix = '', description = '' } = snapshot.servers.get(server) ?? {}
    return `## ${server}\n${prefix === '' ? '' : `Tools: ${leadOf(prefix)}*\n`}${description}`
  })
  return sections.join('\n\n')
}
