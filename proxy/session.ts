import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { createCrowd } from './crowd.ts'
import type { Limits } from './limits.ts'
import type { SessionStore, StoredSession } from './session-store.ts'
import { grantOf, type Snapshot } from './table.ts'
import { createTally } from './tally.ts'

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
  /** Requests of it that are being answered. */
  open: number
}

const Place = z.object({ generation: z.string(), upstreamId: z.string() })
export type Place = Readonly<z.infer<typeof Place>>
const Content = z.object({ opening: z.string(), place: Place })

export interface Sessions {
  /** Lets one go where an agent could not have another one; throws a `Refusal` where none can go. */
  makeRoom(agent: string): void
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

export interface SessionsOptions {
  readonly store: SessionStore
  readonly limits: Limits
  /** Called when a generation has no session any more. */
  readonly idle: (generation: string) => void
  /** Called with one that makes room for another. */
  readonly end: (session: Session) => unknown
}

/** Those that this proxy knows, counted where they live. */
function createRoll({ limits, idle }: Pick<SessionsOptions, 'limits' | 'idle'>) {
  const held = createCrowd<Session>(limits, ({ open }) => open > 0)
  const tally = createTally(idle)
  const keep = (session: Session) => {
    held.add(session)
    tally.add(session.place.generation, 1)
    return session
  }
  const release = (session: Session) => {
    if (held.delete(session)) tally.add(session.place.generation, -1)
  }
  const move = (session: Session, place: Place) => {
    const { generation } = session.place
    session.place = place
    if (held.get(session.id) === undefined) return
    tally.add(place.generation, 1)
    tally.add(generation, -1)
  }
  return { held, keep, release, move, count: tally.of }
}

export function createSessions({ store, end, ...rest }: SessionsOptions): Sessions {
  const { held, keep, release, move, count } = createRoll(rest)
  const dropAll = (gone: readonly Session[]) => {
    store.drop(gone.map(({ id }) => id))
    for (const session of gone) release(session)
  }
  return {
    makeRoom: (agent) => {
      const gone = held.inTheWay(agent)
      if (gone === undefined) return
      dropAll([gone])
      end(gone)
    },
    bind: (agent, server, begun) => {
      const id = randomBytes(24).toString('base64url')
      const session = keep({ id, agent, server, usedAt: Date.now(), open: 0, ...begun })
      store.save(stored(session))
      return session
    },
    find: (id, agent, server) => {
      const session = held.get(id) ?? recall(store, id)
      if (session?.agent !== agent || session.server !== server) return undefined
      if (held.get(id) === undefined) keep(session)
      session.usedAt = Date.now()
      return session
    },
    move: (session, place) => {
      move(session, place)
      store.save(stored(session))
    },
    drop: (session) => dropAll([session]),
    count,
    review: (snapshot, now) => {
      const { used, idle: over } = held.review(now)
      store.touch(used)
      const lost = held.all().filter(({ agent, server }) => grantOf(snapshot, agent, server) === undefined)
      const gone = [...new Set([...over, ...lost])]
      dropAll(gone)
      return gone
    },
    clear: () => {
      const all = held.all()
      for (const session of all) release(session)
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
  return { id, agent, server, usedAt, open: 0, ...Content.parse(JSON.parse(content)) }
}
