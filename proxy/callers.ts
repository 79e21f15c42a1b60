import type { Sink } from './reply.ts'

type Put = NonNullable<Sink['ask']>

/** How to ask a client within its calls that are on their way, by server. */
export interface Callers {
  /** Returns what ends it. */
  begin(server: string, put: Put): () => void
  /** Of the call that came last of those that go on. */
  of(server: string): Put | undefined
}

export function createCallers(): Callers {
  const all = new Map<string, readonly Put[]>()
  return {
    begin: (server, put) => {
      all.set(server, [...(all.get(server) ?? []), put])
      return () => {
        const left = (all.get(server) ?? []).filter((one) => one !== put)
        if (left.length > 0) all.set(server, left)
        else all.delete(server)
      }
    },
    of: (server) => all.get(server)?.at(-1),
  }
}
