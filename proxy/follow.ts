import { legacyHeaders } from './envelope.ts'
import { type Persisting, persist } from './persist.ts'
import type { PooledSession } from './pool.ts'
import { streamReceiver, textReceiver } from './post.ts'
import type { Place } from './sse.ts'
import type { Upstreams } from './upstream.ts'

export interface Following extends Persisting {
  readonly upstreams: Upstreams
  readonly session: PooledSession
  /** Whether it is still to be read, which is asked each time before. */
  readonly wanted?: () => Promise<boolean>
  /** Called each time that the server answers. */
  readonly answered: (status: number) => void
  /** Takes each message. */
  readonly take: (text: string) => void
}

/** What a server may make a client wait, ms. */
const shortest = 100
const longest = 60_000

/**
 * Reads what a legacy server says beside its answers, for as long as the session lasts, and goes on where it was cut off (2025-11-25,
 * basic/transports, resumability). Gives the HTTP status of a server that has no such stream or does not know the session; 0 where it
 * was not to be read any more.
 */
export async function follow(following: Following): Promise<number> {
  const { upstreams, session, wanted, answered, take, signal } = following
  const place: Place = {}
  let refused = 0
  await persist(async () => {
    if ((await wanted?.()) === false) return 'over'
    const own = legacyHeaders(session)
    const headers = place.id === undefined ? own : { ...own, 'last-event-id': place.id }
    await upstreams.send({ target: session.target, method: 'GET', headers, signal }, ({ status, type }) => {
      refused = status >= 400 ? status : 0
      answered(status)
      return type === 'text/event-stream' ? streamReceiver(take, { place }) : textReceiver(() => undefined)
    })
    if (refused > 0) return 'over'
    return place.retry === undefined ? undefined : Math.min(longest, Math.max(shortest, place.retry))
  }, following)
  return refused
}
