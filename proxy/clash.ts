import type { Clash } from '#manifests/table.ts'
import type { Finding } from './inquire.ts'
import { jointName } from './names.ts'
import { inOrder, type Snapshot, servingTarget } from './table.ts'
import { jointUri, uriLead } from './uri.ts'

/** Of each generation, so that no server can fill a report. */
const most = 50
const longestName = 200

interface Entry {
  readonly kind: Clash['kind']
  readonly name: string
}

/**
 * What of each generation cannot be reached at the joint endpoint, because something of another server, or of its own, is called the
 * same there: only running servers reveal it. `known` gives what a generation has.
 */
export function clashesIn(
  snapshot: Snapshot,
  known: (generation: string) => Finding | undefined,
): ReadonlyMap<string, readonly Clash[]> {
  const owners = new Map<string, string>()
  const clashes = new Map<string, readonly Clash[]>()
  for (const server of inOrder(snapshot, [...snapshot.servers.keys()].sort())) {
    const target = servingTarget(snapshot, server)
    if (target === undefined) continue
    const { generation } = target
    const found = known(generation)
    if (found === undefined) continue
    const lost = entriesOf(snapshot, server, found).flatMap(({ kind, name }): readonly Clash[] => {
      const key = `${kind} ${name}`
      const owner = owners.get(key)
      if (owner === undefined) owners.set(key, server)
      return owner === undefined ? [] : [{ kind, name: name.slice(0, longestName), of: owner }]
    })
    if (lost.length > 0) clashes.set(generation, lost.slice(0, most))
  }
  return clashes
}

function entriesOf(snapshot: Snapshot, server: string, { tools, inventory }: Finding): readonly Entry[] {
  const prefix = snapshot.servers.get(server)?.prefix ?? ''
  const lead = uriLead(server, prefix)
  const uris = [...inventory.resources, ...inventory.templates]
  return [
    ...tools.map((tool) => ({ kind: 'tool', name: jointName(prefix, tool) }) as const),
    ...inventory.prompts.map((prompt) => ({ kind: 'prompt', name: jointName(prefix, prompt) }) as const),
    ...uris.map((uri) => ({ kind: 'resource', name: jointUri(lead, uri) }) as const),
  ]
}
