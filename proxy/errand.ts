import type { Grant } from '#manifests/table.ts'
import type { Exchange, Purpose } from './exchange.ts'
import { SessionLost } from './leg.ts'
import { endWithClient, reach, withTarget } from './reach.ts'
import { rehome } from './rehome.ts'
import type { Session } from './session.ts'
import type { Target } from './table.ts'
import type { Visit } from './visit.ts'

/** One request to one server. */
export interface Errand {
  readonly visit: Visit
  readonly server: string
  readonly grant: Grant
  readonly session: Session | undefined
}

/** Begins something that ends with its client, and is a use of its session until it is closed. */
export function openExchange({ visit, session }: Errand, purpose: Omit<Purpose, 'agent'>): Exchange {
  const exchange = visit.gateway.exchanges.open({ agent: visit.agent, ...purpose })
  endWithClient(visit, exchange)
  if (session === undefined) return exchange
  session.open++
  exchange.atClose(() => session.open--)
  return exchange
}

/** Where it goes now: its session's generation, or what serves. Throws a `Refusal`. */
export async function targetOf({ visit, server, session }: Errand, signal: AbortSignal): Promise<Target> {
  if (session === undefined) return reach(visit.gateway, server, signal)
  return visit.gateway.holder.current?.targets.get(session.place.generation) ?? rehome(visit.gateway, session)
}

/** Does something with a target, once more where it never came to it: it was not reached, or does not know the session any more. */
export async function withSession(
  { visit, session }: Errand,
  first: Target,
  again: () => Promise<Target>,
  act: (target: Target) => Promise<void>,
): Promise<void> {
  const place = session?.place
  try {
    return await withTarget(first, again, act)
  } catch (error) {
    if (!(error instanceof SessionLost) || session === undefined) throw error
  }
  // Another request of the session may have heard it first: begun anew twice, its calls and their answers would go to different ones.
  return act(await (session.place === place ? rehome(visit.gateway, session) : again()))
}
