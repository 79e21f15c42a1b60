import { hash } from 'node:crypto'
import { allows } from './grant.ts'
import type { Finding } from './inquire.ts'
import type { Entry } from './listing.ts'
import type { View } from './news.ts'
import { isStrict, type PinIndex } from './pinning.ts'
import type { Probes } from './probe.ts'
import { grantOf, type Onlooker, type Snapshot, seenBy, servingTarget } from './table.ts'

/** What a server has, and what of it was reviewed. */
interface Look {
  readonly found: Finding
  readonly pins: PinIndex | undefined
}

/** Gives the view that somebody has now. A server that is being replaced looks as it did before. */
export function createViews(
  probes: Pick<Probes, 'known'>,
  current: () => Snapshot | undefined,
): (onlooker: Onlooker) => View {
  const last = new Map<string, Look>()
  return (onlooker) => {
    const snapshot = current()
    if (snapshot === undefined) return { tools: '', prompts: '', resources: '' }
    const seen = seenBy(snapshot, onlooker).map((server) => {
      const look = lookAt(snapshot, probes, server) ?? last.get(server)
      if (look !== undefined) last.set(server, look)
      return { server, look }
    })
    // Of each who listens it is kept, so that it has to be short.
    const part = (kind: keyof View) =>
      hash('sha256', JSON.stringify(seen.flatMap((one) => partOf(snapshot, onlooker, { ...one, kind }))))
    return { tools: part('tools'), prompts: part('prompts'), resources: part('resources') }
  }
}

function lookAt(snapshot: Snapshot, probes: Pick<Probes, 'known'>, server: string): Look | undefined {
  const target = servingTarget(snapshot, server)
  const found = target && probes.known(target.generation)
  return found && { found, pins: target.pins }
}

interface Part {
  readonly server: string
  readonly look: Look | undefined
  readonly kind: keyof View
}

/** What somebody sees of one kind at one server, and what it is called there; nothing where it sees nothing. */
function partOf(snapshot: Snapshot, { agent, only }: Onlooker, { server, look, kind }: Part): readonly unknown[] {
  const grant = grantOf(snapshot, agent, server)
  const entries = look === undefined || grant === undefined ? [] : listedIn(look, kind)
  const seen = entries.filter(({ name }) => grant !== undefined && allows(grant, kind, name))
  if (seen.length === 0) return []
  const prefix = only === undefined ? snapshot.servers.get(server)?.prefix : ''
  return [[server, prefix, ...seen.map(({ digest }) => digest)]]
}

/** A tool may be listed otherwise than its server does. */
function listedIn({ found, pins }: Look, kind: keyof View): readonly Entry[] {
  const { prompts, resources, templates } = found.inventory.listed
  switch (kind) {
    case 'tools':
      return isStrict(pins) ? found.listed.map((entry) => pinned(pins, entry)) : found.listed
    case 'prompts':
      return prompts
    case 'resources':
      return [...resources, ...templates]
  }
}

function pinned({ tools }: PinIndex, { name, digest }: Entry): Entry {
  return { name, digest: `${digest} ${tools.get(name)?.hash}` }
}
