import { setTimeout as sleep } from 'node:timers/promises'
import { replyTo } from './demand.ts'
import { legacyHeaders } from './envelope.ts'
import { follow } from './follow.ts'
import type { Gateway } from './gateway.ts'
import type { HostedSession } from './hosted.ts'
import { isRecord } from './message.ts'
import type { PooledSession } from './pool.ts'
import { post } from './post.ts'
import { signNote, signQuestion } from './relabel.ts'
import { uriLead } from './uri.ts'

/** A server that opens its stream late is not waited for any longer, ms; what it says before is lost. */
const openLimit = 1_000

interface Line {
  readonly gateway: Gateway
  readonly session: HostedSession
  /** The session at the server. */
  readonly own: PooledSession
}

/**
 * Listens to what a legacy server says beside its answers, for as long as the session there lasts, and hands it on to the client's.
 * Resolves once the server takes note of it, has no such stream, or is late.
 */
export async function overhear(line: Line): Promise<void> {
  if (line.own.id === undefined) return
  const { promise: opened, resolve } = Promise.withResolvers<void>()
  const { gateway, session, own } = line
  const following = follow({
    upstreams: gateway.upstreams,
    session: own,
    wanted: () => session.has(own),
    answered: () => resolve(),
    take: (text) => take(line, text),
    signal: session.signal,
    broken: (err) => {
      gateway.log.debug({ err, generation: own.target.generation }, 'a stream of a server broke off')
      resolve()
    },
  })
  void following.finally(resolve)
  await Promise.race([opened, sleep(openLimit, undefined, { ref: false })])
}

function take(line: Line, text: string): void {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || typeof parsed.method !== 'string') return
  if (parsed.id === undefined) note(line, parsed.method, text)
  else demand(line, text).catch((err: unknown) => line.gateway.log.debug({ err }, 'an answer did not reach its server'))
}

const noted: ReadonlySet<string> = new Set(['notifications/message', 'notifications/resources/updated'])

function note({ gateway, session, own: { target } }: Line, method: string, text: string): void {
  if (method.endsWith('/list_changed')) gateway.probes.again(target.generation)
  if (!noted.has(method)) return
  const prefix = gateway.holder.current?.servers.get(target.server)?.prefix ?? ''
  const signed = signNote(text, target.server, uriLead(target.server, prefix))
  session.standing.send(session.only === undefined ? signed : text)
}

/** What a server asks outside of any answer is taken to belong to a call of it that is on its way. */
async function demand({ gateway, session, own }: Line, text: string): Promise<void> {
  const { target } = own
  const { signal } = session
  const put = session.callers.of(target.server)
  const body = await replyTo(text, (method, params) => {
    if (put !== undefined) return put(method, params, signal)
    const signed = session.only === undefined ? signQuestion(target.server, method, params) : params
    return session.ask(() => session.standing, { method, params: signed }, signal)
  })
  if (body === undefined) return
  await post(gateway.upstreams, { target, method: 'POST', headers: legacyHeaders(own), body, signal }, () => undefined)
}
