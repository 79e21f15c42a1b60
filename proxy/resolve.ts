import type { Named } from './bridge.ts'
import { allows, type Kind } from './grant.ts'
import { listServer } from './list.ts'
import { type Listing, promptListing, resourceListing, templateListing } from './listing.ts'
import { isRecord, type Message } from './message.ts'
import { jointName, leadOf, originals } from './names.ts'
import { Refusal } from './refusal.ts'
import { grantedServers, grantOf, servingTarget } from './table.ts'
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
  readonly signal: AbortSignal
}

/** Whose it is that a request asks for; refuses alike what does not exist and what the agent may not use. */
export async function ownerOf(look: Look, { method, params }: Message): Promise<Owner> {
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

/** Of servers whose prefixes begin alike, the longest prefix is asked first. */
async function byName(look: Look, kind: 'tools' | 'prompts', { at, value }: Named): Promise<Owner> {
  const { visit } = look
  const candidates = grantedServers(visit.snapshot, visit.agent).filter((server) =>
    value.startsWith(leadOf(prefixOf(visit, server))),
  )
  for (const server of candidates.toSorted((a, b) => prefixOf(visit, b).length - prefixOf(visit, a).length)) {
    const known = kind === 'tools' ? await knownTool(visit, server, value) : await knownPrompt(look, server, value)
    const own = visit.only === undefined ? (known ?? presumed(visit, server, value)) : value
    const grant = grantOf(visit.snapshot, visit.agent, server)
    if (own !== undefined && grant !== undefined && allows(grant, kind, own))
      return { server, kind, named: { at, value: own }, lead: uriLead(server, prefixOf(visit, server)) }
  }
  throw new Refusal(kind === 'tools' ? 'unknown-tool' : 'unknown-prompt', { name: value })
}

function prefixOf({ snapshot }: Visit, server: string): string {
  return snapshot.servers.get(server)?.prefix ?? ''
}

async function knownTool(visit: Visit, server: string, name: string): Promise<string | undefined> {
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

/** A prompt's own name can be read from the joint one, but where it had to be changed, or has no prefix that says whose it is. */
async function knownPrompt(look: Look, server: string, name: string): Promise<string | undefined> {
  const read = presumed(look.visit, server, name)
  if (read !== undefined) return read
  const prompts = await entries(look, server, promptListing)
  return originals(prefixOf(look.visit, server), prompts).get(name)
}

/** What the last look did not show may be new; without a prefix nothing says whose it would be. */
function presumed(visit: Visit, server: string, name: string): string | undefined {
  const prefix = prefixOf(visit, server)
  const rest = name.slice(leadOf(prefix).length)
  return prefix !== '' && rest !== '' && jointName(prefix, rest) === name ? rest : undefined
}

/** Whose a resource is. Throws a `Refusal` as `ownerOf` does. */
export function ownerOfUri(look: Look, uri: string): Promise<Owner> {
  return byUri(look, { at: ['uri'], value: uri })
}

/** A URI that names its server is that server's; any other is whose list has it, or a template that may have made it. */
async function byUri(look: Look, { at, value }: Named): Promise<Owner> {
  const { visit } = look
  const candidates = grantedServers(visit.snapshot, visit.agent).flatMap((server) => {
    const lead = uriLead(server, prefixOf(visit, server))
    const own = ownUri(lead, value)
    const grant = grantOf(visit.snapshot, visit.agent, server)
    if (own === undefined || grant === undefined || !allows(grant, 'resources', own)) return []
    return [{ server, kind: 'resources', named: { at, value: own }, lead } as const]
  })
  const named = candidates.find(({ named: { value: own } }) => own !== value)
  const owner = named ?? (candidates.length > 1 ? await lister(look, candidates) : candidates[0])
  if (owner === undefined) throw new Refusal('unknown-resource', { name: value }, { data: { uri: value } })
  return owner
}

async function lister(look: Look, candidates: readonly Owner[]): Promise<Owner | undefined> {
  for (const listing of [resourceListing, templateListing])
    for (const candidate of candidates) {
      const uris = await entries(look, candidate.server, listing)
      const { value } = candidate.named
      if (uris.some((uri) => uri === value || (listing === templateListing && mayMake(uri, value)))) return candidate
    }
  return undefined
}

/** Names on a server's list; none where it does not answer. */
async function entries({ visit, era, signal }: Look, server: string, listing: Listing): Promise<readonly string[]> {
  const listed = await listServer(visit, { server, listing, era }, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    visit.gateway.log.debug({ err: error, server }, `could not list its ${listing.member}`)
    return []
  })
  return listed.map(({ own }) => own)
}
