import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { answerEach, countRefusal, refuseBody } from './answer.ts'
import { answerBare, answersBare } from './bare.ts'
import { readBytes } from './body.ts'
import { legacyVersions, modernVersion } from './envelope.ts'
import { type Errand, forwardPost, forwardSession } from './forward.ts'
import { type HostedSession, readClient } from './hosted.ts'
import { resume } from './in-session.ts'
import { answerJointly, versionFor } from './joint.ts'
import { judge } from './judge.ts'
import { serveListen } from './listen.ts'
import { type Body, type Message, readBody } from './message.ts'
import { checkModern, checkNames, eraOf, textOf } from './modern.ts'
import { Refusal } from './refusal.ts'
import { sendRefusal, takesStream } from './reply.ts'
import type { Session } from './session.ts'
import { eventOf } from './sse.ts'
import { grantOf, holds } from './table.ts'
import type { Visit } from './visit.ts'

/** `/mcp/<server>`: one server, names untouched, any version of the protocol. */
export async function serveOne(visit: Visit, server: string): Promise<void> {
  const grant = grantOf(visit.snapshot, visit.agent, server)
  if (grant === undefined) throw new Refusal('not-found')
  const errand = { visit, server, grant }
  const { method } = visit.request
  if (method === 'POST') return servePost(errand)
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
  if (!body.batch) for (const message of body.messages) checkNames(message, headers, 'optional')
  const session = era === 'modern' ? undefined : sessionOf(visit, server)
  const refusals = judged(body, (message) => judge(grant, message))
  if (refusals.size > 0) return refuseBody(visit, body, refusals, era)
  const whole = { ...errand, session }
  const stray =
    era === 'legacy' && session === undefined && !body.messages.some(({ method }) => method === 'initialize')
  if (stray && !(await answersBare(whole)))
    return answerEach(visit, { body, era }, (message, sink) => answerBare(whole, message, sink))
  return forward(whole, { body, bytes, era })
}

interface Sent {
  readonly body: Body
  readonly bytes: Buffer
  readonly era: 'modern' | 'legacy'
}

async function forward(errand: Errand, { body, bytes, era }: Sent): Promise<void> {
  try {
    await forwardPost(errand, body, bytes)
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 200) throw error
    const { response } = errand.visit
    if (response.headersSent) return breakOff(response, body, error)
    refuseBody(errand.visit, body, new Map(body.messages.map((message) => [message, error])), era)
  }
}

/** Whoever reads a stream that is broken off would wait for its answer. */
function breakOff(response: ServerResponse, { messages }: Body, refusal: Refusal): void {
  const requests = messages.filter(({ kind }) => kind === 'request')
  if (response.getHeader('content-type') !== 'text/event-stream' || response.writableEnded) throw refusal
  // What was cut in the middle of an event is ended first.
  response.end(`\n\n${requests.map(({ id }) => eventOf(refusal.body(id))).join('')}`)
}

function judged(body: Body, refuse: (message: Message) => Refusal | undefined): ReadonlyMap<Message, Refusal> {
  return new Map(
    body.messages.flatMap((message) => {
      const refusal = refuse(message)
      return refusal === undefined ? [] : [[message, refusal] as const]
    }),
  )
}

/** The session that a legacy request names; refuses alike one that does not exist and another agent's. */
function sessionOf(visit: Visit, server: string): Session | undefined {
  const id = textOf(visit.request.headers['mcp-session-id'])
  if (id === undefined) return undefined
  const session = visit.gateway.sessions.find(id, visit.agent, server)
  if (session === undefined) throw new Refusal('session')
  return session
}

/** `/mcp`: every granted server behind one endpoint. */
export async function serveJoint(visit: Visit): Promise<void> {
  const { method } = visit.request
  if (method !== 'POST') return serveHosted(visit, method)
  const body = readBody(await readBytes(visit.request))
  return answering(visit, body, () => joinPost(visit, body))
}

async function joinPost(visit: Visit, body: Body): Promise<void> {
  const { headers } = visit.request
  const era = eraOf(body, headers)
  const [message] = body.messages
  if (era === 'modern' && message !== undefined) {
    checkModern(message, headers)
    if (message.method === 'subscriptions/listen' && message.kind === 'request') return serveListen(visit, message)
    return answerEach(visit, { body, era }, (each, sink) => answerJointly(visit, each, era, sink))
  }
  checkLegacyVersion(textOf(headers['mcp-protocol-version']))
  const session = hostedOf(visit) ?? beginSession(visit, body)
  if (session === undefined)
    return answerEach(visit, { body, era }, (each, sink) => answerJointly(visit, each, era, sink))
  for (const each of body.messages) session.hear(each)
  const within = { ...visit, session }
  return answerEach(within, { body, era }, (each, sink) => answerJointly(within, each, era, sink))
}

/** A refusal of a request says which one it was. */
async function answering({ gateway, response }: Visit, { batch, messages }: Body, serve: () => Promise<void>) {
  try {
    await serve()
  } catch (error) {
    const [message] = messages
    if (!(error instanceof Refusal) || response.headersSent || batch || message?.id === undefined) throw error
    countRefusal({ gateway }, error)
    sendRefusal(response, error, error.body(message.id))
  }
}

/** The session that a legacy request names; refuses alike one that does not exist and another agent's. */
function hostedOf({ gateway, agent, request }: Visit): HostedSession | undefined {
  const id = textOf(request.headers['mcp-session-id'])
  if (id === undefined) return undefined
  const session = gateway.hosting.find(id, agent)
  if (session === undefined) throw new Refusal('session')
  return session
}

function beginSession({ gateway, agent, response }: Visit, { batch, messages }: Body): HostedSession | undefined {
  const [message] = messages
  if (batch || message?.kind !== 'request' || message.method !== 'initialize') return undefined
  const session = gateway.hosting.open(agent, readClient(versionFor(message), message.params))
  response.setHeader('mcp-session-id', session.id)
  return session
}

/** A session's stream of what no request waits for, or of what a client was cut off from; or its end. */
async function serveHosted(visit: Visit, method: string | undefined): Promise<void> {
  const { gateway, agent, hash, request, response } = visit
  const session = hostedOf(visit)
  if (session === undefined || (method !== 'GET' && method !== 'DELETE')) throw new Refusal('method')
  if (method === 'DELETE') {
    gateway.hosting.drop(session)
    response.writeHead(204).end()
    return
  }
  if (!takesStream(request.headers.accept)) throw new Refusal('not-acceptable')
  const last = textOf(request.headers['last-event-id'])
  const found = last === undefined ? { stream: session.standing } : session.lookUp(last)
  if (found === undefined) throw new Refusal('event')
  if (found.stream.isOpen) throw new Refusal('stream-taken')
  void resume(visit, session)
  const exchange = gateway.exchanges.open({
    agent,
    kind: 'stream',
    allowed: (table) => holds(table, hash, Date.now()),
  })
  const closed = once(response, 'close', { signal: exchange.signal }).catch(() => undefined)
  found.stream.attach(response, { ...found, primed: session.primed && last === undefined })
  await closed
  response.end()
  exchange.close()
}

function checkLegacyVersion(requested: string | undefined): void {
  if (requested === undefined || requested === modernVersion || legacyVersions.includes(requested)) return
  throw new Refusal('version-header', { requested })
}
