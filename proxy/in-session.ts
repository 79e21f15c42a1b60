import type { Gateway } from './gateway.ts'
import type { HostedSession } from './hosted.ts'
import { passLevel } from './level.ts'
import type { Message } from './message.ts'
import { Refusal } from './refusal.ts'
import { ownerOf, ownerOfUri } from './resolve.ts'
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
  const owner = await ownerOf({ visit, era: 'legacy', signal: () => signal }, message)
  const own = subscriptions.get(session) ?? subscribing(visit, session)
  const uri = String(message.params.uri)
  if (message.method === 'resources/subscribe') {
    await own.add(owner)
    session.uris.add(uri)
  } else {
    await own.remove(owner)
    session.uris.delete(uri)
  }
  visit.gateway.hosting.save(session)
}

/** Subscribes again to what a session wanted at a proxy before this one. */
export async function resume(visit: Visit, session: HostedSession): Promise<void> {
  if (session.uris.size === 0 || subscriptions.has(session)) return
  const own = subscribing(visit, session)
  const signal = AbortSignal.timeout(lookLimit)
  for (const uri of session.uris)
    await ownerOfUri({ visit, era: 'legacy', signal: () => signal }, uri)
      .then((owner) => own.add(owner))
      .catch((err: unknown) => visit.gateway.log.debug({ err, uri }, 'could not subscribe again'))
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
  gateway.hosting.save(session)
  for (const own of await Promise.allSettled(session.upstream.values()))
    if (own.status === 'fulfilled') passLevel(gateway, session, own.value)
}
