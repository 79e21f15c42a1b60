import type { ServerResponse } from 'node:http'
import { answerEach, answering, refuseBody } from './answer.ts'
import { answerBare, answersBare } from './bare.ts'
import { readBytes } from './body.ts'
import type { Errand } from './errand.ts'
import { forwardPost, forwardSession } from './forward.ts'
import type { Finding } from './inquire.ts'
import { joinPost, serveHosted } from './join.ts'
import { judge } from './judge.ts'
import { type Body, isRecord, type Message, readBody } from './message.ts'
import { checkNames, eraOf, textOf } from './modern.ts'
import { Refusal } from './refusal.ts'
import type { Session } from './session.ts'
import { eventOf } from './sse.ts'
import { openState } from './state-seal.ts'
import { grantOf, narrow, servingTarget } from './table.ts'
import type { Visit } from './visit.ts'

type Era = Finding['era']

/** `/mcp/<server>`: one server, names untouched, any version of the protocol. */
export async function serveOne(visit: Visit, server: string): Promise<void> {
  const grant = grantOf(visit.snapshot, visit.agent, server)
  if (grant === undefined) throw new Refusal('not-found')
  const errand = { visit, server, grant }
  const { method } = visit.request
  if (method === 'POST') return servePost(errand)
  if (isHosted(visit, server)) return serveHosted(alone(visit, server), method)
  const session = sessionOf(visit, server)
  if (session === undefined || (method !== 'GET' && method !== 'DELETE')) throw new Refusal('method')
  return forwardSession({ ...errand, session }, method)
}

async function servePost(errand: Omit<Errand, 'session'>): Promise<void> {
  const bytes = await readBytes(errand.visit.request)
  const body = readBody(bytes)
  return answering(errand.visit, body, () => passPost(errand, body, bytes))
}

async function passPost(errand: Omit<Errand, 'session'>, body: Body, bytes: Buffer): Promise<void> {
  const { visit, server, grant } = errand
  const { headers } = visit.request
  const era = eraOf(body, headers)
  if (await isBridged(errand, body, era)) return joinPost(alone(visit, server), body)
  if (!body.batch) for (const message of body.messages) checkNames(message, headers, 'optional')
  const session = era === 'modern' ? undefined : sessionOf(visit, server)
  const refusals = judged(body, (message) => judge(grant, message))
  if (refusals.size > 0) return refuseBody(visit, body, refusals, era)
  const whole = { ...errand, session }
  const stray =
    era === 'legacy' && session === undefined && !body.messages.some(({ method }) => method === 'initialize')
  if (stray && !(await answersBare(whole)))
    return answerEach(visit, { body, era }, (message, sink) => answerBare(whole, message, sink))
  return forward(whole, { body, bytes: era === 'modern' ? openState(whole, body, bytes) : bytes, era })
}

interface Sent {
  readonly body: Body
  readonly bytes: Buffer
  readonly era: Era
}

async function forward(errand: Errand, { body, bytes, era }: Sent): Promise<void> {
  try {
    await forwardPost(errand, body, bytes)
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 200) throw error
    const { response } = errand.visit
    if (response.headersSent) return breakOff(response, body, error)
    const told = error.refusal === 'budget' ? budgeted(body, error) : body.messages
    refuseBody(errand.visit, body, new Map(told.map((message) => [message, error])), era)
  }
}

/** The others of a batch were only not sent. */
function budgeted({ messages }: Body, { data }: Refusal): readonly Message[] {
  const tools = isRecord(data) && Array.isArray(data.tools) ? data.tools : []
  return messages.filter(({ method, params }) => method === 'tools/call' && tools.includes(params.name))
}

/** Whoever reads a stream that is broken off would wait for its answer. */
function breakOff(response: ServerResponse, { messages }: Body, refusal: Refusal): void {
  const requests = messages.filter(({ kind }) => kind === 'request')
  if (response.getHeader('content-type') !== 'text/event-stream' || response.writableEnded) throw refusal
  // What was cut in the middle of a message is ended first, as something else than a message.
  response.end(`\nevent: cut\n\n${requests.map(({ id }) => eventOf(refusal.body(id))).join('')}`)
}

function judged(body: Body, refuse: (message: Message) => Refusal | undefined): ReadonlyMap<Message, Refusal> {
  const refusals = new Map<Message, Refusal>()
  for (const message of body.messages) {
    const refusal = refuse(message)
    if (refusal !== undefined) refusals.set(message, refusal)
  }
  return refusals
}

/** The session that a legacy request names; refuses alike one that does not exist and another agent's. */
function sessionOf(visit: Visit, server: string): Session | undefined {
  const id = textOf(visit.request.headers['mcp-session-id'])
  if (id === undefined) return undefined
  const session = visit.gateway.sessions.find(id, visit.agent, server)
  if (session === undefined) throw new Refusal('session')
  return session
}

/**
 * Whether the gateway answers itself, and asks the server: where they are of different eras, and where a client wants to hear of
 * changes, which depend on its grant too. A server that answers legacy clients too, but keeps no session for them, could neither ask
 * them anything nor tell them of a change: it is spoken to in the newer era, in which it can.
 */
function isBridged({ visit, server }: Omit<Errand, 'session'>, body: Body, era: Era): Promise<boolean> | boolean {
  const opens = body.messages.some(({ method }) => method === 'initialize')
  if (era === 'legacy' && !opens) return isHosted(visit, server)
  if (era === 'modern' && body.messages.some(({ method }) => method === 'subscriptions/listen')) return true
  const target = servingTarget(visit.snapshot, server)
  if (target === undefined) return false
  const { probes } = visit.gateway
  const known = probes.known(target.generation)
  if (known !== undefined) return isOther(known, era)
  return probes.finding(target).then(
    (found) => isOther(found, era),
    () => false,
  )
}

/** Whether a server is to be spoken to in the other era. */
function isOther(found: Finding, era: Era): boolean {
  return era === 'modern' ? found.era === 'legacy' : found.era === 'modern' && (found.strict || found.bare)
}

/** Whether a request belongs to a session of the gateway's own. */
function isHosted({ gateway, agent, request }: Visit, server: string): boolean {
  const id = textOf(request.headers['mcp-session-id'])
  if (id === undefined || gateway.sessions.find(id, agent, server) !== undefined) return false
  return gateway.hosting.find(id, agent, server) !== undefined
}

/** A visit that sees one server only, whose names are left as they are. */
function alone(visit: Visit, server: string): Visit {
  return { ...visit, snapshot: narrow(visit.snapshot, visit.agent, server), only: server }
}
