import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { SessionStore, StoredSession } from './session-store.ts'
import { grantOf, type Snapshot } from './table.ts'

/** A legacy session that an upstream gave out, bound to who opened it. */
export interface Session {
  /** What the client sees; the upstream's own id stays inside. */
  readonly id: string
  readonly agent: string
  readonly server: string
  /** JSON text of the `initialize` that began it, with which it is begun again where its upstream has lost it. */
  readonly opening: string
  /** Where it lives now. */
  place: Place
  usedAt: number
}

const Place = z.object({ generation: z.string(), upstreamId: z.string() })
export type Place = Readonly<z.infer<typeof Place>>
const Content = z.object({ opening: z.string(), place: Place })

export interface Sessions {
  bind(agent: string, server: string, begun: Pick<Session, 'opening' | 'place'>): Session
  /** Undefined alike for one that does not exist, another agent's and another server's. */
  find(id: string, agent: string, server: string): Session | undefined
  /** It lives somewhere else from now on. */
  move(session: Session, place: Place): void
  drop(session: Session): void
  count(generation: string): number
  /** Drops, and returns, those whose agent lost the server and those that were long idle. */
  review(snapshot: Snapshot, now: number): readonly Session[]
  /** Forgets all that others may find where they are stored, and returns them. */
  clear(): readonly Session[]
}

/** Clients do not begin anew when their session is gone: it is kept for long, ms. */
const idleLimit = 24 * 3_600_000

/** `idle` is called when a generation has no session any more. */
export function createSessions(store: SessionStore, idle: (generation: string) => void): Sessions {
  const held = new Map<string, Session>()
  const count = (generation: string) => [...held.values()].filter(({ place }) => place.generation === generation).length
  const left = (generation: string) => {
    if (count(generation) === 0) idle(generation)
  }
  const drop = (session: Session) => {
    store.drop(session.id)
    if (held.delete(session.id)) left(session.place.generation)
  }
  return {
    bind: (agent, server, begun) => {
      const id = randomBytes(24).toString('base64url')
      const session = { id, agent, server, usedAt: Date.now(), ...begun }
      held.set(id, session)
      store.save(stored(session))
      return session
    },
    find: (id, agent, server) => {
      const session = held.get(id) ?? recall(store, id)
      if (session?.agent !== agent || session.server !== server) return undefined
      held.set(id, session)
      session.usedAt = Date.now()
      return session
    },
    move: (session, place) => {
      const { generation } = session.place
      session.place = place
      store.save(stored(session))
      left(generation)
    },
    drop,
    count,
    review: (snapshot, now) => {
      const over = ({ agent, server, usedAt }: Session) =>
        now - usedAt > idleLimit || grantOf(snapshot, agent, server) === undefined
      const lost = [...held.values()].filter(over)
      for (const session of lost) drop(session)
      for (const { id, usedAt } of held.values()) store.touch([id], usedAt)
      return lost
    },
    clear: () => {
      const all = [...held.values()]
      held.clear()
      return all
    },
  }
}

function stored({ id, agent, server, usedAt, opening, place }: Session): StoredSession {
  return { id, agent, server, usedAt, content: JSON.stringify({ opening, place }) }
}

function recall(store: SessionStore, id: string): Session | undefined {
  const row = store.find(id)
  if (row === undefined || row.server === null) return undefined
  const { agent, server, usedAt, content } = row
  return { id, agent, server, usedAt, ...Content.parse(JSON.parse(content)) }
}
