import { ask } from './ask.ts'
import { allows } from './grant.ts'
import type { Listing } from './listing.ts'
import { isRecord, type Message, messageOf } from './message.ts'
import { jointName } from './names.ts'
import { reach } from './reach.ts'
import { find, renamed } from './relabel.ts'
import { elements, members, objectOf } from './splice.ts'
import { grantedServers, grantOf, inOrder } from './table.ts'
import { uriLead } from './uri.ts'
import type { Visit } from './visit.ts'

/** How long a list waits for one server, and for one that did not answer last, ms. */
const serverLimit = 5_000
const troubledLimit = 200
const pageLimit = 64

type Era = 'modern' | 'legacy'

/** One entry of a server's list that the agent may use. */
export interface Listed {
  /** As the server calls it. */
  readonly own: string
  /** JSON text of the entry as the server wrote it. */
  readonly text: string
}

/** JSON texts of what an agent may use, named as on the joint endpoint, by server and then as the server has them. A server that does not answer in time is left out. */
export async function listJoint(
  visit: Visit,
  listing: Listing,
  { era, signal }: { readonly era: Era; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const lists = await Promise.all(
    grantedServers(visit.snapshot, visit.agent).map(async (server) => {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(limitFor(visit, server))])
      try {
        const listed = await listServer(visit, { server, listing, era }, limited)
        return [
          server,
          new Map(listed.map((entry) => shown(visit, { server, listing, era }, entry)).toReversed()),
        ] as const
      } catch (err) {
        signal.throwIfAborted()
        visit.gateway.counters.errors++
        visit.gateway.log.warn({ err, server }, `left out of a list of ${listing.member}`)
        return [server, new Map<string, string>()] as const
      }
    }),
  )
  return withoutDoubles(visit, new Map(lists))
}

/** Of entries that are called alike, the one that a call would reach. */
function withoutDoubles(
  { snapshot, agent }: Visit,
  lists: ReadonlyMap<string, ReadonlyMap<string, string>>,
): readonly string[] {
  const owners = new Map<string, string>()
  for (const server of inOrder(snapshot, grantedServers(snapshot, agent)))
    for (const name of lists.get(server)?.keys() ?? []) if (!owners.has(name)) owners.set(name, server)
  return [...lists].flatMap(([server, entries]) =>
    [...entries].toReversed().flatMap(([name, text]) => (owners.get(name) === server ? text : [])),
  )
}

/** The others do not wait for one that hangs. */
function limitFor({ gateway, snapshot }: Visit, server: string): number {
  const generation = snapshot.servers.get(server)?.generation ?? ''
  return gateway.probes.probe(generation)?.ok === false ? troubledLimit : serverLimit
}

/** What is asked of which server. */
export interface Inquiry {
  readonly server: string
  readonly listing: Listing
  readonly era: Era
}

/** Entries of one server's list that the agent may use; empty where the server has no such list. */
export async function listServer(visit: Visit, inquiry: Inquiry, signal: AbortSignal): Promise<readonly Listed[]> {
  const { server, listing } = inquiry
  const grant = grantOf(visit.snapshot, visit.agent, server)
  if (grant === undefined || grant[listing.kind].length === 0) return []
  const texts = await listPages(visit, inquiry, signal)
  return texts.flatMap((text) => {
    const entry: unknown = JSON.parse(text)
    const own = isRecord(entry) ? entry[listing.key] : undefined
    return typeof own === 'string' && allows(grant, listing.kind, own) ? [{ own, text }] : []
  })
}

async function listPages(
  visit: Visit,
  { server, listing, era }: Inquiry,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { gateway, agent } = visit
  const target = await reach(gateway, server, signal)
  if (lacks(visit, target.generation, listing)) return []
  const texts: string[] = []
  let cursor: unknown
  for (let page = 0; page < pageLimit; page++) {
    const message = listMessage(listing.method, cursor)
    const { text, code, result } = await ask(gateway, { target, agent, era, message, signal, note: () => undefined })
    if (code === -32601) return texts
    if (!Array.isArray(result[listing.member])) throw new Error(`${listing.method} answered ${text.slice(0, 200)}`)
    const list = find(text, ['result', listing.member])
    if (list !== undefined) texts.push(...elements(text, list.at))
    if (typeof result.nextCursor !== 'string') return texts
    cursor = result.nextCursor
  }
  return texts
}

/** A server need not be asked for what it does not say that it has; tools it may have without saying so. */
function lacks({ gateway }: Visit, generation: string, { kind }: Listing): boolean {
  const found = gateway.probes.known(generation)
  return kind !== 'tools' && found !== undefined && found.capabilities[kind] === undefined
}

function listMessage(method: string, cursor: unknown): Message {
  const params = cursor === undefined ? {} : { cursor }
  return messageOf(JSON.stringify({ jsonrpc: '2.0', id: 0, method, params }))
}

/** An entry as the joint endpoint shows it, beside what it is called there. */
function shown(visit: Visit, { server, listing, era }: Inquiry, { own, text }: Listed): readonly [string, string] {
  const prefix = visit.snapshot.servers.get(server)?.prefix ?? ''
  if (listing.kind === 'resources') {
    const entry = renamed(text, [listing.key], uriLead(server, prefix))
    return [String(JSON.parse(entry)[listing.key]), entry]
  }
  const name = visit.only === undefined ? jointName(prefix, own) : own
  return [name, listing.kind === 'tools' ? shownTool(text, name, era) : shownPrompt(text, name)]
}

function shownPrompt(text: string, name: string): string {
  const kept = members(text).filter(({ key }) => key !== 'name')
  return objectOf(text, kept, [`"name":${JSON.stringify(name)}`])
}

/** Tasks are not offered here, so what tools say of them goes; a legacy client takes only objects as structured output. */
function shownTool(text: string, name: string, era: Era): string {
  const found = members(text)
  const output = found.find(({ key }) => key === 'outputSchema')
  const schema = output && text.slice(output.at, output.to)
  const wrap = era === 'legacy' && schema !== undefined && !isObjectSchema(schema)
  const dropped = new Set(['name', 'execution', ...(wrap ? ['outputSchema'] : [])])
  const wrapped = wrap
    ? [`"outputSchema":{"type":"object","properties":{"result":${schema}},"required":["result"]}`]
    : []
  const kept = found.filter(({ key }) => !dropped.has(key))
  return objectOf(text, kept, [`"name":${JSON.stringify(name)}`, ...wrapped])
}

function isObjectSchema(schema: string): boolean {
  const parsed: unknown = JSON.parse(schema)
  return isRecord(parsed) && parsed.type === 'object'
}
