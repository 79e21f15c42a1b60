import { legacyHeaders, legacyVersions } from './envelope.ts'
import type { Gateway } from './gateway.ts'
import { isRecord } from './message.ts'
import { post, postUntil } from './post.ts'
import { reach } from './reach.ts'
import { Refusal } from './refusal.ts'
import type { Session } from './session.ts'
import type { Target } from './table.ts'

const openLimit = 10_000
const moving = new WeakMap<Session, Promise<Target>>()

/**
 * Begins a session anew at what serves now, with the words that its client began it with: clients do not begin anew by themselves.
 * Throws `Refusal` or `UpstreamFailed`.
 */
export function rehome(gateway: Gateway, session: Session): Promise<Target> {
  const known = moving.get(session)
  if (known !== undefined) return known
  const move = beginAnew(gateway, session).finally(() => moving.delete(session))
  moving.set(session, move)
  return move
}

async function beginAnew(gateway: Gateway, session: Session): Promise<Target> {
  const { upstreams, sessions } = gateway
  const { server, opening: body } = session
  const signal = AbortSignal.timeout(openLimit)
  const target = await reach(gateway, server, signal)
  let version: unknown
  const stateId = upstreams.stateId(server, { agent: session.agent })
  const sending = { target, method: 'POST', headers: legacyHeaders({ stateId }), body, signal } as const
  const opened = await postUntil(upstreams, sending, (text) => {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message) || !isRecord(message.result)) return false
    version = message.result.protocolVersion
    return true
  })
  const { sessionId } = opened
  if (typeof version !== 'string' || !legacyVersions.includes(version) || sessionId === undefined) {
    sessions.drop(session)
    throw new Refusal('session')
  }
  const headers = legacyHeaders({ id: sessionId, version, stateId })
  const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await post(upstreams, { target, method: 'POST', headers, body: initialized, signal }, () => undefined)
  sessions.move(session, { generation: target.generation, upstreamId: sessionId })
  gateway.log.info({ agent: session.agent, generation: target.generation }, 'a session was begun anew at its server')
  return target
}
