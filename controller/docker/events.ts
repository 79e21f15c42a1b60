import { createInterface } from 'node:readline'
import { z } from 'zod'
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
