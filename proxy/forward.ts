import type { Grant } from '#manifests/table.ts'
import { audit } from './audit.ts'
import { cancel } from './cancel.ts'
import { type Carriage, carry } from './carry.ts'
import { type Errand, openExchange, targetOf, withSession } from './errand.ts'
import { Ended, type Exchange } from './exchange.ts'
import { isWhole } from './grant.ts'
import { judge } from './judge.ts'
import { SessionLost } from './leg.ts'
import { listings } from './listing.ts'
import { type Body, claimedVersion, type Message } from './message.ts'
import { sessionHeaders, upstreamHeaders } from './pass.ts'
import { pinAnswer, refuseWithheldCalls } from './pinned-call.ts'
import { isStrict } from './pinning.ts'
import { Patience, refusalOf } from './reach.ts'
import { Refusal } from './refusal.ts'
import { takesStream } from './reply.ts'
import type { Session } from './session.ts'
import type { Spending } from './spending.ts'
import { stateSealer } from './state-seal.ts'
import { grantOf, holds, type Target } from './table.ts'
import type { Head, Receiver, Sending } from './transfer.ts'
import type { Visit } from './visit.ts'

/** Sends a POST on as it is and carries the answer back. Throws a `Refusal` if nothing was answered so far. */
export async function forwardPost(errand: Errand, body: Body, bytes: Buffer): Promise<void> {
  const { visit, server } = errand
  const since = performance.now()
  let size = 0
  const finish = (outcome: string) => {
    for (const { method, params, kind } of body.messages)
      if (kind === 'request') audit(visit, { server, method, tool: nameOf(params), outcome, since, bytes: size })
  }
  const exchange = openExchange(errand, {
    kind: 'call',
    allowed: (table) => allowed(errand, body, table),
  })
  const timeout = visit.snapshot.servers.get(server)?.timeout ?? 60_000
  try {
    if (opens(body)) visit.gateway.sessions.makeRoom(visit.agent)
    const first = await targetOf(errand, exchange.signal)
    using spending = visit.gateway.budgets.reserve(server, body.messages)
    using patience = new Patience(exchange, timeout, visit.gateway.limits.call)
    const status = await run(errand, {
      first,
      exchange,
      body,
      bytes,
      spending,
      progress: (more) => {
        patience.progress()
        size += more
      },
    })
    finish(status < 300 ? 'ok' : `http ${status}`)
  } catch (error) {
    const refusal = refusalOf(visit.gateway, error, { server, timeout })
    finish(refusal.refusal)
    throw refusal
  } finally {
    exchange.close()
  }
}

function opens({ messages }: Body): boolean {
  return messages.some(({ method }) => method === 'initialize')
}

const cacheable: ReadonlySet<string> = new Set(['server/discover', 'resources/read', ...listings.keys()])

/** Whether the newer era lets caches keep the answer: what it says depends on the token. */
function isCached({ messages: [message] }: Body): boolean {
  return message !== undefined && cacheable.has(message.method) && claimedVersion(message) !== undefined
}

/** A stream that stays open after its answer is left after this, ms. */
const linger = 1_000

interface Run {
  readonly first: Target
  readonly exchange: Exchange
  readonly body: Body
  readonly bytes: Buffer
  readonly spending: Spending | undefined
  readonly progress: (bytes: number) => void
}

async function run(errand: Errand, { first, exchange, body, bytes, spending, progress }: Run): Promise<number> {
  const { visit, session, grant } = errand
  const { request, response, gateway } = visit
  const again = () => targetOf(errand, exchange.signal)
  const isModern = body.messages.some((message) => claimedVersion(message) !== undefined)
  const stateId =
    isModern || session !== undefined ? undefined : gateway.upstreams.stateId(errand.server, { agent: visit.agent })
  let status = 0
  const streams = takesStream(request.headers.accept)
  let leaving: NodeJS.Timeout | undefined
  const answered = () => {
    leaving = setTimeout(() => exchange.end(new Ended('left', 'answered')), linger)
  }
  const sent = withSession(errand, first, again, (target) => {
    exchange.move(target.generation)
    const headers = upstreamHeaders(request.headers, session === undefined ? { stateId } : { session })
    const sending: Sending = { target, method: 'POST', headers, body: bytes, signal: exchange.signal }
    const receive = (head: Head): Receiver => {
      status = head.status
      spending?.status(status)
      checkHead(errand, head)
      const given = opens(body) && status < 300 ? head.header('mcp-session-id') : undefined
      const place = given === undefined ? undefined : { generation: target.generation, upstreamId: given }
      const begun = place && { opening: body.messages[0]?.text ?? '', place }
      const bound = begun === undefined ? session : gateway.sessions.bind(visit.agent, errand.server, begun)
      const cached = isCached(body)
      const looks = { ...pinnedBy(gateway, target), ...(isModern && { sealed: stateSealer(errand, body) }) }
      const how = { streams, batch: body.batch, cached, progress, answered }
      const receiver = carry(head, { response, grant, session: bound, ...how, ...looks })
      return spending?.watch(head, receiver) ?? receiver
    }
    const started = () => spending?.sent()
    const send = () => gateway.upstreams.send({ ...sending, started }, receive)
    if (!isStrict(target.pins)) return send()
    return refuseWithheldCalls(gateway, target, body.messages, exchange.signal).then(send)
  })
  await sent
    .catch((error: unknown) => {
      if (session !== undefined && isCalledOff(exchange)) callOff(errand, session, body)
      if (leaving === undefined) throw error
    })
    .finally(() => clearTimeout(leaving))
  return status
}

/** Whether it is the gateway that does not want it any more: a client that goes away may come back for the answer. */
function isCalledOff({ signal: { reason } }: Exchange): boolean {
  return reason instanceof Ended && (reason.why === 'timeout' || reason.why === 'revoked')
}

function callOff({ visit: { gateway, request } }: Errand, session: Session, { messages }: Body): void {
  const target = gateway.holder.current?.targets.get(session.place.generation)
  if (target === undefined) return
  const headers = upstreamHeaders(request.headers, { session })
  for (const { kind, id = 'null' } of messages) if (kind === 'request') cancel(gateway, { target, headers, id })
}

/** Opens a session's stream, or ends it. */
export async function forwardSession(
  errand: Errand & { readonly session: Session },
  method: 'GET' | 'DELETE',
): Promise<void> {
  const { visit, server, session, grant } = errand
  const { request, response, gateway } = visit
  const exchange = openExchange(errand, {
    kind: method === 'GET' ? 'stream' : 'call',
    allowed: (table) => holds(table, visit.hash, Date.now()) && sameGrant(grant, grantOf(table, visit.agent, server)),
  })
  try {
    const target = await targetOf(errand, exchange.signal)
    exchange.move(target.generation)
    const carriage: Carriage = {
      response,
      grant,
      session: undefined,
      streams: true,
      batch: false,
      cached: false,
      progress: () => undefined,
      answered: () => undefined,
    }
    const again = () => targetOf(errand, exchange.signal)
    await withSession(errand, target, again, (there) => {
      const headers = sessionHeaders(request.headers, session)
      return gateway.upstreams.send({ target: there, method, headers, signal: exchange.signal }, (head): Receiver => {
        checkHead(errand, head)
        if (method === 'DELETE' && head.status < 300) gateway.sessions.drop(session)
        return carry(head, { ...carriage, ...pinnedBy(gateway, there) })
      })
    })
  } catch (error) {
    throw refusalOf(gateway, error, { server, timeout: 0 })
  } finally {
    exchange.close()
  }
}

function pinnedBy({ probes }: Visit['gateway'], target: Target): Pick<Carriage, 'pinned'> {
  return isStrict(target.pins) ? { pinned: (text) => pinAnswer({ probes }, target, text) } : {}
}

const types: ReadonlySet<string> = new Set(['', 'application/json', 'text/event-stream'])

/** A page for people is not for the client. */
function checkHead({ server, session }: Errand, { status, type }: Head): void {
  if (status === 404 && session !== undefined) throw new SessionLost()
  const page =
    status === 405 || status === 202 ? false : !types.has(type) || (status >= 400 && type !== 'application/json')
  if (page) throw new Refusal('answer', { server, why: `HTTP ${status} ${type}`.trim() })
}

function allowed({ visit, server }: Errand, body: Body, table: Visit['snapshot']): boolean {
  const grant = grantOf(table, visit.agent, server)
  return (
    holds(table, visit.hash, Date.now()) &&
    grant !== undefined &&
    body.messages.every((message) => judge(grant, message) === undefined)
  )
}

function sameGrant(before: Grant, after: Grant | undefined): boolean {
  return after !== undefined && (isWhole(after) || JSON.stringify(before) === JSON.stringify(after))
}

function nameOf({ name, uri }: Message['params']): string | undefined {
  if (typeof name === 'string') return name
  return typeof uri === 'string' ? uri : undefined
}
