import { z } from 'zod'

/** What the server asks of a worker. */
export const jobMessage = z.object({ type: z.string(), input: z.record(z.string(), z.unknown()) })

/** What a worker answers; `memory` is the bytes that it holds. A problem is known where its words are meant for the caller. */
export const answerMessage = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready'), fontsLack: z.string().optional() }),
  z.object({ kind: z.literal('picture'), png: z.instanceof(Buffer), memory: z.number() }),
  z.object({ kind: z.literal('problem'), words: z.string(), known: z.boolean(), stack: z.string().optional() }),
])

export type Answer = z.output<typeof answerMessage>
