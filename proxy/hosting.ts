import { z } from 'zod'
import { createCrowd } from './crowd.ts'
import { type Client, HostedSession } from './hosted.ts'
import type { Limits } from './limits.ts'
import type { News } from './news.ts'
import type { PooledSession } from './pool.ts'
import type { SessionStore, StoredSession } from './session-store.ts'
import { grantOf, type Snapshot } from './table.ts'

/** The legacy sessions that are the gateway's own. */
export interface Hosting {
  /** `only` names the server that it is about, where that is one. Throws a `Refusal` where there are too many. */
  open(agent: string, client: Client, only?: string): HostedSession
  /** Undefined alike for one that does not exist, another agent's and another endpoint's. */
  find(id: string, agent: string, only?: string): HostedSession | undefined
  drop(session: HostedSession): void
  /** Drops those of agents that are gone and those that were long idle, and ends what they have at servers that no longer serve. */
  review(snapshot: Snapshot, now: number): void
  /** Stores what became of one. */
  save(session: HostedSession): void
  /** Forgets all that others may find where they are stored. */
  clear(): void
}

export interface HostingOptions {
  readonly news: News
  readonly store: SessionStore
  readonly limits: Limits
  /** Called for each session at a server that is no longer needed. */
  readonly end: (session: PooledSession) => unknown
}

export function createHosting({ news, store, limits, end }: HostingOptions): Hosting {
  const held = createCrowd<HostedSession>(limits, isInUse)
  const unlisten = new Map<HostedSession, () => void>()
  const keep = (session: HostedSession) => {
    held.add(session)
    unlisten.set(session, news.listen(session))
  }
  const release = (session: HostedSession) => {
    held.delete(session)
    unlisten.get(session)?.()
    unlisten.delete(session)
    session.close()
    leaveAll(session, end)
  }
  const dropAll = (gone: readonly HostedSession[]) => {
    store.drop(gone.map(({ id }) => id))
    for (const session of gone) release(session)
  }
  return {
    open: (agent, client, only) => {
      const gone = held.inTheWay(agent)
      if (gone !== undefined) dropAll([gone])
      const session = new HostedSession(agent, client, { only })
      keep(session)
      store.save(stored(session))
      return session
    },
    find: (id, agent, only) => {
      const session = held.get(id) ?? recall(store, id)
      if (session?.agent !== agent || session.only !== only) return undefined
      if (held.get(id) === undefined) keep(session)
      session.usedAt = Date.now()
      return session
    },
    drop: (session) => dropAll([session]),
    review: (snapshot, now) => {
      const { used, idle } = held.review(now)
      store.touch(used)
      dropAll([...new Set([...idle, ...held.all().filter((one) => isGone(one, snapshot))])])
      for (const session of held.all()) settle(session, snapshot, { now, end })
      store.dropOlder(now - limits.sessionIdle)
    },
    save: (session) => store.save(stored(session)),
    clear: () => {
      for (const session of held.all()) release(session)
    },
  }
}

const Content = z.object({
  client: z.object({
    version: z.string(),
    capabilities: z.record(z.string(), z.unknown()),
    info: z.record(z.string(), z.unknown()),
  }),
  level: z.string().optional(),
  only: z.string().optional(),
  uris: z.array(z.string()).default([]),
})

function stored({ id, agent, client, level, only, uris, usedAt }: HostedSession): StoredSession {
  return { id, agent, server: null, usedAt, content: JSON.stringify({ client, level, only, uris: [...uris] }) }
}

function recall(store: SessionStore, id: string): HostedSession | undefined {
  const row = store.find(id)
  if (row === undefined || row.server !== null) return undefined
  const { client, level, only, uris } = Content.parse(JSON.parse(row.content))
  const session = new HostedSession(row.agent, client, { id, only })
  session.level = level
  for (const uri of uris) session.uris.add(uri)
  return session
}

function isInUse({ standing, inFlight }: HostedSession): boolean {
  return standing.isOpen || inFlight.size > 0
}

function isGone({ agent, only }: HostedSession, snapshot: Snapshot): boolean {
  return only === undefined ? !snapshot.agents.has(agent) : grantOf(snapshot, agent, only) === undefined
}

export interface Settling {
  readonly now: number
  readonly end: (session: PooledSession) => unknown
}

/** Ends what a session has at servers that no longer serve its agent. */
export function settle(session: HostedSession, snapshot: Snapshot, { now, end }: Settling): void {
  session.tidy(now)
  if (session.inFlight.size > 0) return
  for (const [generation] of session.upstream)
    if (!isWanted(session, generation, snapshot)) leave(session, generation, end)
}

function isWanted({ agent }: HostedSession, generation: string, snapshot: Snapshot): boolean {
  const target = snapshot.targets.get(generation)
  return target?.role === 'serving' && grantOf(snapshot, agent, target.server) !== undefined
}

/** Ends all that a session has at servers. */
export function leaveAll(session: HostedSession, end: Settling['end']): void {
  for (const [generation] of session.upstream) leave(session, generation, end)
}

function leave({ upstream }: HostedSession, generation: string, end: (session: PooledSession) => unknown): void {
  upstream.get(generation)?.then(end, () => undefined)
  upstream.delete(generation)
}
