import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Engine } from './engine.ts'
import { mark } from './labels.ts'

/** What the engine is asked to tell of. */
export const told = {
  type: ['container', 'network'],
  event: ['start', 'die', 'destroy', 'pause', 'update', 'rename', 'oom', 'connect', 'disconnect'],
}

const Event = z.object({
  Type: z.string(),
  Action: z.string(),
  Actor: z.object({ Attributes: z.record(z.string(), z.string()).nullish() }),
})

/**
 * Whether the line tells of something of the instance, or of one of its containers; one that cannot be read may. A network's event
 * carries no labels.
 */
export function concerns(line: string, instance: string, isOurs: (id: string) => boolean): boolean {
  const event = Event.safeParse(read(line)).data
  if (event === undefined) return true
  const { name = '', container = '', ...labels } = event.Actor.Attributes ?? {}
  if (event.Type !== 'network') return mark(labels, 'instance') === instance
  return isOurs(container) || name === `0-${instance}` || name.startsWith(`${instance}-`)
}

/** Yields whenever the engine tells of something of the instance, and when it may have kept something to itself. */
export async function* changesOf(
  engine: Pick<Engine, 'events'>,
  { instance, isOurs }: { readonly instance: string; readonly isOurs: (id: string) => boolean },
  signal: AbortSignal,
): AsyncGenerator<void> {
  for (let pause = 0; !signal.aborted; pause = Math.min(2 * pause + 500, 15_000)) {
    await sleep(pause, undefined, { signal }).catch(() => {})
    try {
      const events = await engine.events(signal)
      if (pause > 0) yield
      for await (const event of events) {
        pause = 0
        if (concerns(event, instance, isOurs)) yield
      }
    } catch {
      // Engine down, or the end: what is true is for `observe` to say, here it is only asked again.
    }
  }
}

/** Lines of a stream as they come; fails as the stream does. */
export async function* linesOf(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
  const failed = Promise.withResolvers<never>()
  stream.once('error', failed.reject)
  failed.promise.catch(() => {})
  const next = lines[Symbol.asyncIterator]()
  for (;;) {
    const { done, value } = await Promise.race([next.next(), failed.promise])
    if (done === true) return
    yield value
  }
}

function read(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
