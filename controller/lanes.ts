import { orAbort } from './or-abort.ts'

/** What runs in a lane, and how far it is, in words for the status page. */
export interface Run {
  readonly identity: string
  readonly doing: string
  /** Whether the commit is not yet true without it; what is merely tidied up nobody waits for. */
  readonly awaited: boolean
}

export type Say = (doing: string, awaited?: boolean) => void

export type Work = (say: Say, signal: AbortSignal) => Promise<void>

/**
 * One lane a server: its work is never concurrent, other lanes go on. Work of another identity ends what runs and takes its
 * place; the same identity is left alone.
 */
export interface Lanes {
  readonly runs: ReadonlyMap<string, Run>
  enter(lane: string, identity: string, work: Work): void
  /** Ends what runs in a lane, if anything. */
  leave(lane: string): void
  /** Resolves once what runs in the lane now has ended, however that was; rejects when the signal comes first. */
  settled(lane: string, signal: AbortSignal): Promise<void>
  /** Ends everything, and resolves once it has ended. */
  close(): Promise<void>
}

interface Lane {
  run: Run
  readonly abort: AbortController
  done: Promise<void>
}

/** `onEnd` hears when a lane became empty, with the error if its work failed; `onChange` whenever a lane says something. */
export function createLanes(
  onEnd: (lane: string, error: unknown) => void,
  onChange: (lane: string, doing: string) => void,
): Lanes {
  const lanes = new Map<string, Lane>()
  const closing = new AbortController()

  async function follow(name: string, lane: Lane, before: Promise<void> | undefined, work: Work): Promise<void> {
    await before
    const signal = AbortSignal.any([lane.abort.signal, closing.signal])
    const say: Say = (doing, awaited = true) => {
      lane.run = { ...lane.run, doing, awaited }
      onChange(name, doing)
    }
    const error = await attempt(() => work(say, signal), signal)
    if (lanes.get(name) !== lane) return
    lanes.delete(name)
    if (!closing.signal.aborted) onEnd(name, signal.aborted ? undefined : error)
  }

  return {
    get runs() {
      return new Map([...lanes].map(([name, { run }]) => [name, run]))
    },
    enter(name, identity, work) {
      const before = lanes.get(name)
      if (before?.run.identity === identity && !before.abort.signal.aborted) return
      before?.abort.abort(new Error('superseded'))
      const lane: Lane = {
        run: { identity, doing: 'queued', awaited: true },
        abort: new AbortController(),
        done: Promise.resolve(),
      }
      lanes.set(name, lane)
      lane.done = follow(name, lane, before?.done, work)
    },
    leave: (name) => lanes.get(name)?.abort.abort(new Error('no longer wanted')),
    settled: (name, signal) => orAbort(lanes.get(name)?.done ?? Promise.resolve(), signal),
    async close() {
      closing.abort(new Error('the controller stops'))
      await Promise.all([...lanes.values()].map(({ done }) => done))
    },
  }
}

async function attempt(work: () => Promise<void>, signal: AbortSignal): Promise<unknown> {
  try {
    signal.throwIfAborted()
    await work()
    return undefined
  } catch (error) {
    return error
  }
}
