import { answerEach, refuseBody } from './answer.ts'
import { answerBare, answersBare } from './bare.ts'
import { readBytes } from './body.ts'
import { legacyVersions, modernVersion } from './envelope.ts'
import { type Errand, forwardPost, forwardSession } from './forward.ts'
import { answerJointly } from './joint.ts'
import { judge } from './judge.ts'
import { type Body, claimedVersion, type Message, readBody } from './message.ts'
import { checkModern, checkNames, eraOf, textOf } from './modern.ts'
import { Refusal } from './refusal.ts'
import type { Session } from './session.ts'
import { grantOf } from './table.ts'
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
  const { visit, server, grant } = errand
  const { headers } = visit.request
  const bytes = await readBytes(visit.request)
  const body = readBody(bytes)
  const era = body.messages.some((message) => claimedVersion(message) !== undefined) ? 'modern' : 'legacy'
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
    const inBand = error instanceof Refusal && error.status === 200
    if (!inBand || errand.visit.response.headersSent) throw error
    refuseBody(errand.visit, body, new Map(body.messages.map((message) => [message, error])), era)
  }
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
  const { headers, method } = visit.request
  const named = headers['mcp-session-id'] !== undefined
  if (method !== 'POST') throw new Refusal(named && (method === 'GET' || method === 'DELETE') ? 'session' : 'method')
  const body = readBody(await readBytes(visit.request))
  const era = eraOf(body, headers)
  const [message] = body.messages
  if (era === 'modern' && message !== undefined) checkModern(message, headers)
  if (era === 'legacy') {
    if (named) throw new Refusal('session')
    checkLegacyVersion(textOf(headers['mcp-protocol-version']))
  }
  await answerEach(visit, { body, era }, (each, sink) => answerJointly(visit, each, era, sink))
}

function checkLegacyVersion(requested: string | undefined): void {
  if (requested === undefined || requested === modernVersion || legacyVersions.includes(requested)) return
  throw new Refusal('version-header', { requested })
}
