import { randomBytes } from 'node:crypto'
import { grantOf, type Snapshot, type Target } from './table.ts'

/** A legacy session that an upstream gave out, bound to who opened it and where it lives. */
export interface Session {
  /** What the client sees; the upstream's own id stays inside. */
  readonly id: string
  readonly agent: string
  readonly server: string
  readonly generation: string
  readonly upstreamId: string
}

export interface Sessions {
  bind(agent: string, target: Target, upstreamId: string): Session
  /** Undefined alike for one that does not exist, another agent's and another server's. */
  find(id: string, agent: string, server: string): Session | undefined
  drop(session: Session): void
  count(generation: string): number
  /** Drops, and returns, those whose generation is gone or whose agent lost the server. */
  review(snapshot: Snapshot): readonly Session[]
  /** Drops, and returns, all. */
  clear(): readonly Session[]
}

/** `idle` is called when a generation has no session any more. */
export function createSessions(idle: (generation: string) => void): Sessions {
  const held = new Map<string, Session>()
  const count = (generation: string) => [...held.values()].filter((session) => session.generation === generation).length
  const drop = (session: Session) => {
    if (held.delete(session.id) && count(session.generation) === 0) idle(session.generation)
  }
  return {
    bind: (agent, { server, generation }, upstreamId) => {
      const session = { id: randomBytes(24).toString('base64url'), agent, server, generation, upstreamId }
      held.set(session.id, session)
      return session
    },
    find: (id, agent, server) => {
      const session = held.get(id)
      return session?.agent === agent && session.server === server ? session : undefined
    },
    drop,
    count,
    review: (snapshot) => {
      const lost = [...held.values()].filter((session) => !lives(session, snapshot))
      for (const session of lost) drop(session)
      return lost
    },
    clear: () => {
      const all = [...held.values()]
      held.clear()
      return all
    },
  }
}

function lives({ generation, agent, server }: Session, snapshot: Snapshot): boolean {
  return snapshot.targets.has(generation) && grantOf(snapshot, agent, server) !== undefined
}
