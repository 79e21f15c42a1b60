import type { Gateway } from './gateway.ts'
import type { HostedSession } from './hosted.ts'
import { passLevel } from './level.ts'
import type { Message } from './message.ts'
import { Refusal } from './refusal.ts'
import { ownerOf } from './resolve.ts'
import { Subscriptions } from './subscriptions.ts'
import type { Visit } from './visit.ts'

const levels: readonly unknown[] = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']
/** ms */
const lookLimit = 10_000

const subscriptions = new WeakMap<HostedSession, Subscriptions>()

/** Changes what a session of a legacy client hears from now on. Throws a `Refusal`. */
export async function change(visit: Visit, session: HostedSession, message: Message): Promise<void> {
  if (message.method === 'logging/setLevel') return setLevel(visit.gateway, session, message.params.level)
  const signal = AbortSignal.timeout(lookLimit)
  const owner = await ownerOf({ visit, era: 'legacy', signal }, message)
  const own = subscriptions.get(session) ?? subscribing(visit, session)
  return message.method === 'resources/subscribe' ? own.add(owner) : own.remove(owner)
}

function subscribing({ gateway, agent }: Visit, session: HostedSession): Subscriptions {
  const take = (text: string) => session.standing.send(text)
  const made = new Subscriptions({ gateway, agent, take, signal: session.signal })
  subscriptions.set(session, made)
  return made
}

async function setLevel(gateway: Gateway, session: HostedSession, level: unknown): Promise<void> {
  if (typeof level !== 'string' || !levels.includes(level))
    throw new Refusal('params', { why: `level must be one of ${levels.join(', ')}` })
  session.level = level
  for (const own of await Promise.allSettled(session.upstream.values()))
    if (own.status === 'fulfilled') passLevel(gateway, session, own.value)
}
