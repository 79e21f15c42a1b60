import { type Client, HostedSession } from './hosted.ts'
import type { News } from './news.ts'
import type { PooledSession } from './pool.ts'
import { grantOf, type Snapshot } from './table.ts'

/** The legacy sessions of the joint endpoint. */
export interface Hosting {
  open(agent: string, client: Client): HostedSession
  /** Undefined alike for one that does not exist and another agent's. */
  find(id: string, agent: string): HostedSession | undefined
  drop(session: HostedSession): void
  /** Drops those of agents that are gone and those that were long idle, and ends what they have at servers that no longer serve. */
  review(snapshot: Snapshot, now: number): void
  /** Drops all. */
  clear(): void
}

/** Clients do not begin anew when their session is gone: it is kept for long, ms. */
const idleLimit = 24 * 3_600_000
/** Sessions of one agent; the one that was idle for longest makes room. */
const mostOfAgent = 1_000

/** `end` is called for each session at a server that is no longer needed. */
export function createHosting(news: News, end: (session: PooledSession) => void): Hosting {
  const held = new Map<string, HostedSession>()
  const unlisten = new Map<HostedSession, () => void>()
  const drop = (session: HostedSession) => {
    held.delete(session.id)
    unlisten.get(session)?.()
    unlisten.delete(session)
    session.close()
    for (const [generation] of session.upstream) leave(session, generation, end)
  }
  return {
    open: (agent, client) => {
      const own = [...held.values()].filter((session) => session.agent === agent)
      const [oldest] = own.toSorted((a, b) => a.usedAt - b.usedAt)
      if (own.length >= mostOfAgent && oldest !== undefined) drop(oldest)
      const session = new HostedSession(agent, client)
      held.set(session.id, session)
      unlisten.set(session, news.listen(session))
      return session
    },
    find: (id, agent) => {
      const session = held.get(id)
      if (session?.agent !== agent) return undefined
      session.usedAt = Date.now()
      return session
    },
    drop,
    review: (snapshot, now) => {
      for (const session of held.values()) {
        if (isOver(session, snapshot, now)) drop(session)
        else settle(session, snapshot, { now, end })
      }
    },
    clear: () => {
      for (const session of held.values()) drop(session)
    },
  }
}

function isOver(session: HostedSession, snapshot: Snapshot, now: number): boolean {
  const isIdle = !session.standing.isOpen && session.inFlight.size === 0 && now - session.usedAt > idleLimit
  return isIdle || !snapshot.agents.has(session.agent)
}

interface Settling {
  readonly now: number
  readonly end: (session: PooledSession) => void
}

function settle(session: HostedSession, snapshot: Snapshot, { now, end }: Settling): void {
  session.tidy(now)
  if (session.inFlight.size > 0) return
  for (const [generation] of session.upstream)
    if (!isWanted(session, generation, snapshot)) leave(session, generation, end)
}

function isWanted({ agent }: HostedSession, generation: string, snapshot: Snapshot): boolean {
  const target = snapshot.targets.get(generation)
  return target?.role === 'serving' && grantOf(snapshot, agent, target.server) !== undefined
}

function leave({ upstream }: HostedSession, generation: string, end: (session: PooledSession) => void): void {
  upstream.get(generation)?.then(end, () => undefined)
  upstream.delete(generation)
}
