import { type Kind, kinds } from './grant.ts'
import type { Onlooker } from './table.ts'

/** What an agent sees of each kind, in a text that differs where what it sees differs. */
export type View = Readonly<Record<Kind, string>>

/** Somebody who wants to know when what it sees changes. */
export interface Listener extends Onlooker {
  tell(kind: Kind): void
}

/** Tells exactly those whose view changed, whatever changed it: grants, servers, or what a server has. */
export interface News extends Disposable {
  /** Returns what ends it. */
  listen(listener: Listener): () => void
  /** Something may have changed. */
  stir(): void
}

/** What comes in so short a time is one change, ms. */
const pause = 100

export function createNews(viewOf: (onlooker: Onlooker) => View): News {
  const seen = new Map<Listener, View>()
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    timer = undefined
    const views = new Map<string, View>()
    for (const [listener, before] of seen) {
      const key = `${listener.agent} ${listener.only ?? ''}`
      const after = views.get(key) ?? viewOf(listener)
      views.set(key, after)
      seen.set(listener, after)
      for (const kind of kinds) if (before[kind] !== after[kind]) listener.tell(kind)
    }
  }
  return {
    listen: (listener) => {
      seen.set(listener, viewOf(listener))
      return () => void seen.delete(listener)
    },
    stir: () => {
      timer ??= setTimeout(look, pause)
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}
