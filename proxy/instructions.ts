import { leadOf } from './names.ts'
import { grantedServers, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

/** Most that a server may say of itself, and that is said in all, in characters: it goes into every model's context. */
const ownLimit = 1_024
const wholeLimit = 8_192

/** What an agent is told of the joint endpoint: its servers as the manifests and they themselves describe them, or where to ask for one. */
export function instructionsFor({ snapshot, agent, gateway, only }: Visit): string {
  if (only !== undefined) return ownOf(gateway, snapshot, only)
  const servers = grantedServers(snapshot, agent)
  if (servers.length === 0)
    return `${agent} may use no server. Access is granted by a change of agents.${agent}.servers in ${snapshot.grantsFile}.`
  const sections = servers.map((server) => {
    const { prefix = '', description = '' } = snapshot.servers.get(server) ?? {}
    const own = ownOf(gateway, snapshot, server)
    const lines = [`## ${server}`, prefix === '' ? '' : `Tools: ${leadOf(prefix)}*`, description, cut(own, ownLimit)]
    return lines.filter((line) => line !== '').join('\n')
  })
  return cut(sections.join('\n\n'), wholeLimit)
}

/** What a server says of itself. */
function ownOf({ probes }: Visit['gateway'], snapshot: Visit['snapshot'], server: string): string {
  const target = servingTarget(snapshot, server)
  return (target && probes.known(target.generation)?.instructions) ?? ''
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`
}
