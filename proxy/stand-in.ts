import { newestLegacy, self } from './envelope.ts'
import { HostedSession } from './hosted.ts'
import { leaveAll, settle } from './hosting.ts'
import { isRecord } from './message.ts'
import type { PooledSession } from './pool.ts'
import { grantedServers, type Snapshot } from './table.ts'

type Capabilities = Readonly<Record<string, unknown>>

/** Sessions in the place of modern clients, which have none, at legacy servers that may ask them something. Each has one call at a time, so that it is clear which call a question belongs to. */
export interface StandIns {
  take(agent: string, capabilities: Capabilities): HostedSession
  /** After a call that ended as it should. */
  giveBack(session: HostedSession): void
  drop(session: HostedSession): void
  /** Drops those that were long idle or whose agents are gone, and ends what they have at servers that no longer serve. */
  review(snapshot: Snapshot, now: number): void
  clear(): Promise<void>
}

const idleLimit = 5 * 60_000
/** What a server may be told of a client: a closed set, so that no client makes ever more sessions. */
const parts: Readonly<Record<string, readonly string[]>> = {
  elicitation: ['form', 'url'],
  sampling: ['context', 'tools'],
  roots: [],
}

/** What a client offers that a legacy server may ask for. */
export function askable(capabilities: Capabilities): Capabilities {
  const known = Object.entries(parts).flatMap(([name, inner]) => {
    const offered = capabilities[name]
    if (!isRecord(offered)) return []
    return [[name, Object.fromEntries(inner.filter((part) => isRecord(offered[part])).map((part) => [part, {}]))]]
  })
  return Object.fromEntries(known)
}

/** `end` is called for each session at a server that is no longer needed. */
export function createStandIns(end: (session: PooledSession) => Promise<void>): StandIns {
  const free: HostedSession[] = []
  const drop = (session: HostedSession) => {
    session.close()
    leaveAll(session, end)
  }
  const remove = (session: HostedSession) => {
    free.splice(free.indexOf(session), 1)
    drop(session)
  }
  return {
    take: (agent, capabilities) => {
      const wanted = JSON.stringify(capabilities)
      const at = free.findLastIndex((one) => one.agent === agent && JSON.stringify(one.client.capabilities) === wanted)
      const [known] = at < 0 ? [] : free.splice(at, 1)
      return known ?? new HostedSession(agent, { version: newestLegacy, capabilities, info: self })
    },
    giveBack: (session) => {
      session.usedAt = Date.now()
      free.push(session)
    },
    drop,
    review: (snapshot, now) => {
      for (const session of [...free]) {
        const isOver = now - session.usedAt > idleLimit || grantedServers(snapshot, session.agent).length === 0
        if (isOver) remove(session)
        else settle(session, snapshot, { now, end })
      }
    },
    clear: async () => {
      const ending = free.splice(0).flatMap((session) => {
        session.close()
        return [...session.upstream.values()].map((own) => own.then(end, () => undefined))
      })
      await Promise.all(ending)
    },
  }
}
