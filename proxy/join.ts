import { once } from 'node:events'
import { answerEach, answering } from './answer.ts'
import { readBytes } from './body.ts'
import { legacyVersions, modernVersion } from './envelope.ts'
import { type HostedSession, readClient } from './hosted.ts'
import { resume } from './in-session.ts'
import { answerJointly, versionFor } from './joint.ts'
import { serveListen } from './listen.ts'
import { type Body, readBody } from './message.ts'
import { checkModern, eraOf, textOf } from './modern.ts'
import { Refusal } from './refusal.ts'
import { takesStream } from './reply.ts'
import { holds } from './table.ts'
import type { Visit } from './visit.ts'

/** `/mcp`: every granted server behind one endpoint. */
export async function serveJoint(visit: Visit): Promise<void> {
  const { method } = visit.request
  if (method !== 'POST') return serveHosted(visit, method)
  const body = readBody(await readBytes(visit.request))
  return answering(visit, body, () => joinPost(visit, body))
}

/** Answers what was posted, in either era, whatever the eras of the servers. */
export function joinPost(visit: Visit, body: Body): Promise<void> {
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

/** The session that a legacy request names; refuses alike one that does not exist and another agent's. */
function hostedOf({ gateway, agent, only, request }: Visit): HostedSession | undefined {
  const id = textOf(request.headers['mcp-session-id'])
  if (id === undefined) return undefined
  const session = gateway.hosting.find(id, agent, only)
  if (session === undefined) throw new Refusal('session')
  return session
}

function beginSession({ gateway, agent, only, response }: Visit, { batch, messages }: Body): HostedSession | undefined {
  const [message] = messages
  if (batch || message?.kind !== 'request' || message.method !== 'initialize') return undefined
  const session = gateway.hosting.open(agent, readClient(versionFor(message), message.params), only)
  response.setHeader('mcp-session-id', session.id)
  return session
}

/** A session's stream of what no request waits for, or of what a client was cut off from; or its end. */
export async function serveHosted(visit: Visit, method: string | undefined): Promise<void> {
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
  const leave = found.stream === session.standing ? gateway.heeds.attend(session) : undefined
  found.stream.attach(response, { ...found, primed: session.primed && last === undefined })
  await closed
  leave?.()
  response.end()
  exchange.close()
}

function checkLegacyVersion(requested: string | undefined): void {
  if (requested === undefined || requested === modernVersion || legacyVersions.includes(requested)) return
  throw new Refusal('version-header', { requested })
}
