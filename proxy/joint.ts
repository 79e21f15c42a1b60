import { ask } from './ask.ts'
import { type Asker, askerOf } from './asker.ts'
import { audit } from './audit.ts'
import { keepPrivate } from './bridge.ts'
import { legacyVersions, metaKeys, modernVersion, newestLegacy, self } from './envelope.ts'
import type { Exchange } from './exchange.ts'
import { allows } from './grant.ts'
import { change } from './in-session.ts'
import { instructionsFor } from './instructions.ts'
import type { Answer } from './leg.ts'
import { listJoint } from './list.ts'
import { type Listing, listings } from './listing.ts'
import { isRecord, type Message } from './message.ts'
import { offerOf, offers } from './offer.ts'
import { endWithClient, Patience, reach, refusalOf, withTarget } from './reach.ts'
import { Refusal } from './refusal.ts'
import { relabel, signNote, signQuestion } from './relabel.ts'
import type { Sink } from './reply.ts'
import { type Owner, ownerOf } from './resolve.ts'
import { grantOf, holds, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

type Era = 'modern' | 'legacy'

/** How long may be looked for whose something is, ms. */
const lookLimit = 10_000

/** Answers one request to the joint endpoint: JSON text of the response. Throws a `Refusal`. */
export function answerJointly(visit: Visit, message: Message, era: Era, sink: Sink): Promise<string> | string {
  const { method } = message
  if (!offers(visit, method)) throw new Refusal('unknown-method', { method })
  const listing = listings.get(method)
  if (listing !== undefined) return listJointly(visit, message, { listing, era })
  switch (method) {
    case 'initialize':
      if (era === 'modern') break
      return resultText(visit, message, { result: initialized(visit, message), era: 'legacy' })
    case 'ping':
      if (era === 'modern') break
      return resultText(visit, message, { result: {}, era })
    case 'server/discover':
      if (era === 'legacy') break
      return resultText(visit, message, { result: discovered(visit), era })
    case 'logging/setLevel':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      if (visit.session === undefined) break
      return change(visit, visit.session, message).then(() => resultText(visit, message, { result: {}, era }))
    case 'tools/call':
    case 'prompts/get':
    case 'resources/read':
    case 'completion/complete':
      return callJointly(visit, message, era, sink)
  }
  throw new Refusal('unknown-method', { method })
}

/** What a legacy client asks for if that is known, else the newest. */
export function versionFor({ params }: Message): string {
  const asked = String(params.protocolVersion)
  return legacyVersions.includes(asked) ? asked : newestLegacy
}

function initialized(visit: Visit, message: Message): object {
  return {
    protocolVersion: versionFor(message),
    capabilities: offerOf(visit),
    serverInfo: infoFor(visit),
    instructions: instructionsFor(visit),
  }
}

function discovered(visit: Visit): object {
  return {
    supportedVersions: [modernVersion],
    capabilities: offerOf(visit),
    instructions: instructionsFor(visit),
    ttlMs: 0,
    cacheScope: 'private',
  }
}

/** Who answers: the gateway for all servers, or the one server itself. */
function infoFor({ gateway, snapshot, only }: Visit): object {
  const target = only === undefined ? undefined : servingTarget(snapshot, only)
  return (target && gateway.probes.known(target.generation)?.info) ?? self
}

function resultText(
  visit: Visit,
  { id }: Message,
  { result, era }: { readonly result: object; readonly era: Era },
): string {
  const meta = { [metaKeys.server]: infoFor(visit) }
  const whole = era === 'modern' ? { ...result, resultType: 'complete', _meta: meta } : result
  return `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(whole)}}`
}

/** What a list says beside its entries: it depends on the token, so no one else may keep it. */
function listExtras(visit: Visit): string {
  const meta = JSON.stringify({ [metaKeys.server]: infoFor(visit) })
  return `,"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":${meta}`
}

async function listJointly(
  visit: Visit,
  message: Message,
  { listing, era }: { readonly listing: Listing; readonly era: Era },
): Promise<string> {
  if (message.params.cursor !== undefined) throw new Refusal('params', { why: 'this list has one page, and no cursor' })
  const exchange = openExchange(visit, message, (table) => holds(table, visit.hash, Date.now()))
  try {
    const entries = await listJoint(visit, listing, { era, signal: exchange.signal })
    const extras = era === 'modern' ? listExtras(visit) : ''
    return `{"jsonrpc":"2.0","id":${message.id},"result":{"${listing.member}":[${entries.join(',')}]${extras}}}`
  } finally {
    exchange.close()
  }
}

async function callJointly(visit: Visit, message: Message, era: Era, sink: Sink): Promise<string> {
  const since = performance.now()
  const { method } = message
  const found = ownerOf({ visit, era, signal: () => AbortSignal.timeout(lookLimit) }, message)
  const owner = found instanceof Promise ? await found : found
  const { server, lead } = owner
  const tool = owner.named.value
  try {
    const { text, code, result } = await callOwner(visit, message, { owner, era, sink })
    const outcome = code === undefined ? (result.isError === true ? 'tool-error' : 'ok') : `error ${code}`
    audit(visit, { server, method, tool, since, outcome, bytes: text.length })
    const shown = relabel(text, lead)
    return era === 'modern' && method === 'resources/read' ? keepPrivate(shown) : shown
  } catch (error) {
    const outcome = error instanceof Refusal ? error.refusal : 'failed'
    audit(visit, { server, method, tool, since, outcome, bytes: 0 })
    throw error
  }
}

interface Call {
  readonly owner: Owner
  readonly era: Era
  readonly sink: Sink
}

async function callOwner(visit: Visit, message: Message, { owner, era, sink }: Call): Promise<Answer> {
  const { gateway, agent } = visit
  const { server, kind, named } = owner
  const timeout = visit.snapshot.servers.get(server)?.timeout ?? 0
  const exchange = openExchange(visit, message, (table) => {
    const grant = grantOf(table, agent, server)
    return holds(table, visit.hash, Date.now()) && grant !== undefined && allows(grant, kind, named.value)
  })
  const { signal } = exchange
  let over: (() => void) | undefined
  try {
    const first = await reach(gateway, server, signal)
    using patience = new Patience(exchange, timeout, gateway.limits.call)
    using spending = gateway.budgets.reserve(server, [message], named.value)
    const note = (text: string) => {
      patience.progress()
      if (isHeard(visit, message, text)) sink.note(visit.only === undefined ? signNote(text, server, owner.lead) : text)
    }
    const asker = askerFor(visit, message, { server, sink, patience })
    if (asker.ask !== undefined) over = visit.session?.callers.begin(server, asker.ask)
    const { headers } = visit.request
    return await withTarget(
      first,
      () => reach(gateway, server, signal),
      (target) => {
        exchange.move(target.generation)
        return ask(gateway, { target, agent, era, message, named, asker, headers, signal, note, spending })
      },
    )
  } catch (error) {
    throw refusalOf(gateway, error, { server, timeout })
  } finally {
    over?.()
    exchange.close()
  }
}

/** Log messages are for whoever asked for them. */
function isHeard({ session }: Visit, { params }: Message, text: string): boolean {
  const said: unknown = JSON.parse(text)
  if (!isRecord(said) || said.method !== 'notifications/message') return true
  return session !== undefined || (isRecord(params._meta) && params._meta[metaKeys.level] !== undefined)
}

/** The joint endpoint hides which server asks, so that its question says it; while a person thinks, the call is not late. */
function askerFor(
  visit: Visit,
  message: Message,
  { server, sink, patience }: { readonly server: string; readonly sink: Sink; readonly patience: Patience },
): Asker {
  const sign = (method: string, params: string) =>
    visit.only === undefined ? signQuestion(server, method, params) : params
  const asker = askerOf(message, sink, visit.session)
  const { ask: put } = asker
  if (put === undefined) return { ...asker, sign }
  return { ...asker, sign, ask: (method, params, ends) => patience.during(put(method, sign(method, params), ends)) }
}

/** A session's client can cancel what it asked, by its id. */
function openExchange(visit: Visit, { id = '' }: Message, allowed: (table: Visit['snapshot']) => boolean): Exchange {
  const { session } = visit
  const exchange = visit.gateway.exchanges.open({ agent: visit.agent, kind: 'call', allowed })
  endWithClient(visit, exchange)
  if (session !== undefined) exchange.atClose(session.inFlight.add({ id, exchange }))
  return exchange
}
