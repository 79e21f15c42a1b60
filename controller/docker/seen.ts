import { HostDown } from '../host.ts'
import type { EngineContainer } from './engine.ts'
import { mark } from './labels.ts'
import type { Estate } from './network.ts'

/** Remembers what the engine has listed, because a list that lacks what still runs would have everything made anew. */
export interface Seen {
  /** Gives the list back. Throws `HostDown` when it lacks what the engine has all the same. */
  check(listed: readonly EngineContainer[], signal: AbortSignal): Promise<readonly EngineContainer[]>
  /** Whether the last list had it. */
  has(id: string): boolean
}

/** `first` is the name of a container that is there if any is: the first list is held against it. */
export function createSeen({ engine, instance }: Estate, first: string): Seen {
  let before: readonly string[] = [first]
  return {
    async check(listed, signal) {
      const ids = listed.map(({ Id }) => Id)
      for (const id of before.filter((one) => !ids.includes(one))) {
        const found = await engine.container(id, signal)
        if (found && !ids.includes(found.Id) && mark(found.Config.Labels, 'instance') === instance)
          throw new HostDown(
            `the Docker engine does not list container ${found.Name.slice(1)}, and has it: not believed`,
          )
      }
      before = ids
      return listed
    },
    has: (id) => before.includes(id),
  }
}
