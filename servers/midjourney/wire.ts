import { z } from 'zod'
import { firstLine } from '../kit/first-line.ts'
import { readLimited } from './limited.ts'
import { showable } from './words.ts'

/** What came of a request. */
export type Reply =
  /** The service's answer. `code` is the status in its body, whatever HTTP said; `words` are fit to be shown. */
  | { readonly kind: 'said'; readonly code: number; readonly words: string; readonly data: unknown }
  /** The request has not left this machine. */
  | { readonly kind: 'unsent'; readonly reason: string }
  /** It may have been carried out. */
  | { readonly kind: 'unclear'; readonly reason: string }

export interface Question {
  /** ms */
  readonly limit: number
  /** Without one it is a GET. */
  readonly body?: Readonly<Record<string, unknown>>
  readonly signal?: AbortSignal
}

const Body = z.looseObject({
  code: z.coerce.number().int(),
  msg: z.string().nullish(),
  data: z.unknown().optional(),
})

const mostBytes = 2 ** 20

/** Where no connection was made, nothing was asked. */
const unconnected = /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|\w*CERT\w*)$/

/** Asks the service with the key, which is in none of its words. */
export function createWire(base: URL, key: string): (path: string, question: Question) => Promise<Reply> {
  const keyless = (text: string) => text.replaceAll(key, '…')
  return async (path, { limit, body, signal }) => {
    const limited = AbortSignal.timeout(limit)
    const request = {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      // The key goes nowhere else.
      redirect: 'manual',
      signal: signal === undefined ? limited : AbortSignal.any([limited, signal]),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    } as const
    try {
      const response = await fetch(new URL(`/api/v1/mj/${path}`, base), request)
      const text = (await readLimited(response.body, mostBytes)).toString()
      return replyOf(response.status, keyless(text))
    } catch (error) {
      return failureOf(error, limited.aborted ? `no answer within ${limit / 1000} s` : showable(keyless(said(error))))
    }
  }
}

function replyOf(status: number, text: string): Reply {
  const body = Body.safeParse(parsed(text))
  if (body.success) {
    const { code, msg, data } = body.data
    return { kind: 'said', code, words: showable(msg ?? ''), data }
  }
  if (status >= 300 && status < 500) return { kind: 'said', code: status, words: '', data: undefined }
  return { kind: 'unclear', reason: `The service answered HTTP ${status} with something else than JSON` }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function failureOf(error: unknown, reason: string): Reply {
  const code = causeOf(error).code ?? ''
  const words = `The service was not reached: ${reason}`
  return unconnected.test(code) ? { kind: 'unsent', reason: words } : { kind: 'unclear', reason: words }
}

/** `fetch` says only that it failed; why is in the cause. */
function said(error: unknown): string {
  const { message } = causeOf(error)
  return message || firstLine(error)
}

const Cause = z.looseObject({ code: z.string().optional().catch(undefined), message: z.string().default('') })

function causeOf(error: unknown): z.infer<typeof Cause> {
  const given = error instanceof Error ? error.cause : undefined
  const cause = given instanceof AggregateError ? given.errors[0] : given
  return cause instanceof Error ? Cause.parse({ ...cause, message: cause.message }) : Cause.parse({})
}
