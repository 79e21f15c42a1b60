import { allows } from './grant.ts'
import { jointName, leadOf, originals } from './names.ts'
import { Refusal } from './refusal.ts'
import { grantedServers, grantOf, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

export interface Owner {
  readonly server: string
  /** The tool's name there. */
  readonly tool: string
}

/** Whose tool a joint name is; refuses alike what does not exist and what the agent may not use. */
export async function resolveTool(visit: Visit, name: string): Promise<Owner> {
  const candidates = grantedServers(visit.snapshot, visit.agent).filter((server) =>
    name.startsWith(leadOf(prefixOf(visit, server))),
  )
  const longestFirst = candidates.toSorted((a, b) => prefixOf(visit, b).length - prefixOf(visit, a).length)
  for (const server of longestFirst) {
    const tool = (await known(visit, server, name)) ?? presumed(visit, server, name)
    const grant = grantOf(visit.snapshot, visit.agent, server)
    if (tool !== undefined && grant !== undefined && allows(grant, 'tools', tool)) return { server, tool }
  }
  throw new Refusal('unknown-tool', { name })
}

function prefixOf({ snapshot }: Visit, server: string): string {
  return snapshot.servers.get(server)?.prefix ?? ''
}

async function known(visit: Visit, server: string, name: string): Promise<string | undefined> {
  const target = servingTarget(visit.snapshot, server)
  if (target === undefined) return undefined
  const tools =
    visit.gateway.probes.probe(target.generation)?.tools ??
    (await visit.gateway.probes.finding(target).then(
      (finding) => finding.tools,
      () => [],
    ))
  return originals(prefixOf(visit, server), tools).get(name)
}

/** A tool that the last look did not show may be new; without a prefix nothing says whose it would be. */
function presumed(visit: Visit, server: string, name: string): string | undefined {
  const prefix = prefixOf(visit, server)
  const rest = name.slice(leadOf(prefix).length)
  return prefix !== '' && rest !== '' && jointName(prefix, rest) === name ? rest : undefined
}
