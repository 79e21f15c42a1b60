import type { Named } from './bridge.ts'
import { allows, type Kind } from './grant.ts'
import type { Finding } from './inquire.ts'
import type { Inventory } from './inventory.ts'
import { listServer } from './list.ts'
import { type Listing, promptListing, resourceListing, templateListing } from './listing.ts'
import { isRecord, type Message } from './message.ts'
import { jointName, leadOf, originals } from './names.ts'
import { Refusal } from './refusal.ts'
import { grantOf, type Place, placesOf, servingTarget } from './table.ts'
import { mayMake, ownUri, uriLead } from './uri.ts'
import type { Visit } from './visit.ts'

/** Whose something on the joint endpoint is. */
export interface Owner {
  readonly server: string
  readonly kind: Kind
  /** What is called so there, and where the request says it. */
  readonly named: Named
  /** What begins its URIs on the joint endpoint. */
  readonly lead: string
}

type Era = 'modern' | 'legacy'

interface Look {
  readonly visit: Visit
  readonly era: Era
  /** Ends a question to a server, which few looks need. */
  readonly signal: () => AbortSignal
}

/** Whose it is that a request asks for, at once where that is known; refuses alike what does not exist and what the agent may not use. */
export function ownerOf(look: Look, { method, params }: Message): Promise<Owner> | Owner {
  switch (method) {
    case 'tools/call':
      return byName(look, 'tools', { at: ['name'], value: textIn(params, 'name') })
    case 'prompts/get':
      return byName(look, 'prompts', { at: ['name'], value: textIn(params, 'name') })
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return byUri(look, { at: ['uri'], value: textIn(params, 'uri') })
  }
  const { ref } = params
  if (isRecord(ref) && ref.type === 'ref/prompt')
    return byName(look, 'prompts', { at: ['ref', 'name'], value: textIn(ref, 'name') })
  if (isRecord(ref) && ref.type === 'ref/resource')
    return byUri(look, { at: ['ref', 'uri'], value: textIn(ref, 'uri') })
  throw new Refusal('params', { why: 'ref must be of type ref/prompt or ref/resource' })
}

function textIn(params: Readonly<Record<string, unknown>>, key: string): string {
  const value = params[key]
  if (typeof value !== 'string') throw new Refusal('params', { why: `${key} must be a string` })
  return value
}

interface Claim {
  readonly kind: 'tools' | 'prompts'
  readonly named: Named
}

/** What a server is known to have goes before what another may have; of two that have it, the list shows the same one. */
function byName(look: Look, kind: Claim['kind'], named: Named): Promise<Owner> | Owner {
  const { visit } = look
  const claim = { kind, named }
  const prefixed = placesOf(visit.snapshot, visit.agent)
  const places = prefixed.filter(({ prefix }) => named.value.startsWith(leadOf(prefix)))
  for (const place of places) {
    const finding = knownOf(visit, place.server)
    if (finding === undefined && visit.only === undefined) break
    const owner = owned(visit, place, claim, ownIn(finding, place, claim))
    if (owner !== undefined) return owner
  }
  return search(look, places, claim)
}

/** The same where servers have to be asked first. */
async function search(look: Look, places: readonly Place[], claim: Claim): Promise<Owner> {
  const { visit } = look
  for (const place of places) {
    const owner = owned(visit, place, claim, ownIn(await findingOf(visit, place.server), place, claim))
    if (owner !== undefined) return owner
  }
  for (const place of places) {
    const owner = owned(visit, place, claim, await ownSupposed(look, place, claim))
    if (owner !== undefined) return owner
  }
  throw new Refusal(claim.kind === 'tools' ? 'unknown-tool' : 'unknown-prompt', { name: claim.named.value })
}

/** A server as the owner of what is called `own` there, if there is that and the agent may use it. */
function owned(visit: Visit, { server, prefix }: Place, { kind, named }: Claim, own?: string): Owner | undefined {
  // One server alone is spoken to in its own names.
  const value = visit.only === undefined ? own : named.value
  const grant = grantOf(visit.snapshot, visit.agent, server)
  if (value === undefined || grant === undefined || !allows(grant, kind, value)) return undefined
  return { server, kind, named: { at: named.at, value }, lead: uriLead(server, prefix) }
}

/** What a server calls it that the last look at it showed. */
function ownIn(finding: Finding | undefined, { prefix }: Place, { kind, named }: Claim): string | undefined {
  const names = (kind === 'tools' ? finding?.tools : finding?.inventory.prompts) ?? []
  return originals(prefix, names).get(named.value)
}

/**
 * What the last look did not show may be new: a name can be read from the joint one, but where it had to be changed, or has no prefix
 * that says whose it is.
 */
async function ownSupposed(
  look: Look,
  { server, prefix }: Place,
  { kind, named: { value } }: Claim,
): Promise<string | undefined> {
  const rest = value.slice(leadOf(prefix).length)
  if (prefix !== '' && rest !== '' && jointName(prefix, rest) === value) return rest
  return kind === 'tools' ? undefined : originals(prefix, await entries(look, server, promptListing)).get(value)
}

function knownOf({ gateway, snapshot }: Visit, server: string): Finding | undefined {
  const target = servingTarget(snapshot, server)
  return target && gateway.probes.known(target.generation)
}

async function findingOf(visit: Visit, server: string): Promise<Finding | undefined> {
  const target = servingTarget(visit.snapshot, server)
  if (target === undefined) return undefined
  return knownOf(visit, server) ?? visit.gateway.probes.finding(target).catch(() => undefined)
}

/** Whose a resource is. Throws a `Refusal` as `ownerOf` does. */
export function ownerOfUri(look: Look, uri: string): Promise<Owner> {
  return byUri(look, { at: ['uri'], value: uri })
}

/** Whose list has it, or a template that may have made it; if nobody's, that server's which it names. */
async function byUri(look: Look, { at, value }: Named): Promise<Owner> {
  const { visit } = look
  const candidates = placesOf(visit.snapshot, visit.agent).flatMap(({ server, prefix }) => {
    const lead = uriLead(server, prefix)
    const own = ownUri(lead, value)
    const grant = grantOf(visit.snapshot, visit.agent, server)
    if (own === undefined || grant === undefined || !allows(grant, 'resources', own)) return []
    return [{ server, kind: 'resources', named: { at, value: own }, lead } as const]
  })
  const named = candidates.find(({ named: { value: own } }) => own !== value)
  const owner =
    candidates.length > 1
      ? (lister(candidates, await inventories(look, candidates)) ??
        named ??
        lister(candidates, await listings(look, candidates)))
      : candidates[0]
  if (owner === undefined) throw new Refusal('unknown-resource', { name: value }, { data: { uri: value } })
  return owner
}

/** URIs and templates of servers. */
type Shelves = ReadonlyMap<string, Pick<Inventory, 'resources' | 'templates'>>

async function inventories({ visit }: Look, owners: readonly Owner[]): Promise<Shelves> {
  const shelves = owners.map(async ({ server }) => {
    const { resources = [], templates = [] } = (await findingOf(visit, server))?.inventory ?? {}
    return [server, { resources, templates }] as const
  })
  return new Map(await Promise.all(shelves))
}

async function listings(look: Look, owners: readonly Owner[]): Promise<Shelves> {
  const shelves = owners.map(async ({ server }) => {
    const [resources, templates] = [resourceListing, templateListing].map((listing) => entries(look, server, listing))
    return [server, { resources: (await resources) ?? [], templates: (await templates) ?? [] }] as const
  })
  return new Map(await Promise.all(shelves))
}

/** Whose list has it, else whose template may have made it. */
function lister(candidates: readonly Owner[], shelves: Shelves): Owner | undefined {
  const listed = candidates.find(({ server, named }) => shelves.get(server)?.resources.includes(named.value))
  const isMade = ({ server, named }: Owner) =>
    shelves.get(server)?.templates.some((template) => mayMake(template, named.value)) === true
  return listed ?? candidates.find(isMade)
}

/** Names on a server's list; none where it does not answer. */
async function entries({ visit, era, ...look }: Look, server: string, listing: Listing): Promise<readonly string[]> {
  const signal = look.signal()
  const listed = await listServer(visit, { server, listing, era }, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    visit.gateway.log.debug({ err: error, server }, `could not list its ${listing.member}`)
    return []
  })
  return listed.map(({ own }) => own)
}
