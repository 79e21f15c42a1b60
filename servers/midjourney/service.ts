import { z } from 'zod'
import { createReadiness } from '../kit/readiness.ts'
import type { Kind } from './task.ts'
import { taskId } from './task.ts'
import { createWire, type Reply } from './wire.ts'
import { explainCode, showable } from './words.ts'

/** What became of a request for a task. */
export type Submission =
  | { readonly kind: 'accepted'; readonly id: string }
  /** The service has not taken it, so it costs nothing. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may have taken it. */
  | { readonly kind: 'unknown'; readonly reason: string }

/** What the service says of a task. */
export type Look =
  | { readonly kind: 'running' }
  | { readonly kind: 'done'; readonly urls: readonly string[] }
  | { readonly kind: 'failed'; readonly reason: string }
  /** It says nothing of it, now or ever. */
  | { readonly kind: 'silent'; readonly reason: string }

/** midapi.ai. Nothing here throws: what goes wrong is an outcome. */
export interface Service {
  /** Not ended by any signal: once it is sent, the answer is all that says what it made. */
  submit(kind: Kind, body: Readonly<Record<string, unknown>>): Promise<Submission>
  look(id: string, signal?: AbortSignal): Promise<Look>
  /** Why it is of no use now; asked once a minute while it is, and more often while it is not. */
  readonly ready: () => Promise<string | undefined>
}

const paths = { generate: 'generate', upscale: 'generateUpscale', vary: 'generateVary' } as const
/** ms */
const submitLimit = 20_000
/** Of one look, ms. */
export const lookLimit = 10_000
/** Readiness is waited for 5 s. */
const checkLimit = 4_000
const stands = { good: 60_000, bad: 5_000 }

const Accepted = z.looseObject({ taskId })
const Address = z.string().regex(/^https?:\/\/\S{1,2000}$/)
const Url = z.union([Address, z.looseObject({ resultUrl: Address }).transform(({ resultUrl }) => resultUrl)])
/** Documented as an object; some clients have met its JSON as a text. */
const Result = z.preprocess(unquoted, z.looseObject({ resultUrls: z.array(Url) }))
const Record = z.looseObject({
  successFlag: z.coerce.number(),
  resultInfoJson: z.unknown(),
  errorMessage: z.string().nullish(),
})

export function createService(url: URL, key: string): Service {
  const ask = createWire(url, key)
  const look = (id: string, limit: number, signal?: AbortSignal) =>
    ask(`record-info?taskId=${encodeURIComponent(id)}`, { limit, ...(signal && { signal }) })
  return {
    submit: async (kind, body) => submissionOf(await ask(paths[kind], { limit: submitLimit, body })),
    look: async (id, signal) => lookOf(await look(id, lookLimit, signal)),
    ready: createReadiness(async () => troubleOf(await look('readiness', checkLimit)), stands).ready,
  }
}

function submissionOf(reply: Reply): Submission {
  if (reply.kind === 'unsent') return { kind: 'refused', reason: reply.reason }
  if (reply.kind === 'unclear') return { kind: 'unknown', reason: reply.reason }
  if (reply.code !== 200) return { kind: 'refused', reason: explainCode(reply) }
  const accepted = Accepted.safeParse(reply.data)
  if (accepted.success) return { kind: 'accepted', id: accepted.data.taskId }
  return { kind: 'unknown', reason: 'the service said that it is done, and did not name the task' }
}

function lookOf(reply: Reply): Look {
  if (reply.kind !== 'said') return { kind: 'silent', reason: reply.reason }
  if (reply.code !== 200) return { kind: 'silent', reason: explainCode(reply) }
  const record = Record.safeParse(reply.data)
  if (!record.success) return { kind: 'silent', reason: 'the service knows no such task' }
  const { successFlag, resultInfoJson, errorMessage } = record.data
  if (successFlag === 0) return { kind: 'running' }
  if (successFlag !== 1)
    return { kind: 'failed', reason: showable(errorMessage ?? '') || 'the service does not say why' }
  const result = Result.safeParse(resultInfoJson)
  if (result.success && result.data.resultUrls.length > 0) return { kind: 'done', urls: result.data.resultUrls }
  return { kind: 'silent', reason: 'the service said that it is done, and named no pictures' }
}

/** A task that does not exist is asked for: any other answer than that is trouble only where all calls would have it. */
function troubleOf(reply: Reply): string | undefined {
  if (reply.kind !== 'said') return reply.reason
  return [401, 455].includes(reply.code) ? explainCode(reply) : undefined
}

function unquoted(given: unknown): unknown {
  if (typeof given !== 'string') return given
  try {
    return JSON.parse(given)
  } catch {
    return undefined
  }
}
