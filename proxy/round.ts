import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { putTo } from './asker.ts'
import type { Named } from './bridge.ts'
import { NotAnswered } from './hosted.ts'
import type { Answer, Question } from './leg.ts'
import { isRecord, type Message } from './message.ts'
import { Refusal } from './refusal.ts'
import { find } from './relabel.ts'
import type { Seal } from './seal.ts'
import { type Member, members, replace, splice } from './splice.ts'

/** So often may a server ask for input before it answers (2026-07-28, basic/patterns/mrtr). */
export const roundLimit = 8
/** Between two questions of a server that asks the client for nothing, ms. */
const emptyPause = 250

/** Who brings back what, and to which server. */
type Bringing = Pick<Question, 'message' | 'agent'> & { readonly target: Pick<Question['target'], 'server'> }

/** What a modern client brings back of a server's state; refuses what it was not given for this request. */
export function unsealed(seal: Seal, { message, agent, target }: Bringing): readonly Named[] {
  const { requestState } = message.params
  if (requestState === undefined) return []
  const { server } = target
  const state = typeof requestState === 'string' ? seal.open(requestState, { agent, server, message }) : undefined
  if (state === undefined) throw expired()
  return [{ at: ['requestState'], value: state }]
}

export function expired(): Refusal {
  return new Refusal('params', { why: 'requestState is not valid for this request, or expired' })
}

/** A server's demand for input in which its state can be brought back by the same agent only. */
export function sealed(seal: Seal, question: Question, unsigned: Answer): Answer {
  const { message, agent, target } = question
  const answer = signed(question, unsigned)
  const found = find(answer.text, ['result', 'requestState'])
  const { requestState } = answer.result
  if (found === undefined || typeof requestState !== 'string') return answer
  const text = JSON.stringify(seal.close(requestState, { agent, server: target.server, message }))
  return { ...answer, text: splice(answer.text, [replace(found, text)]) }
}

/** Each question says whose it is, where the client could not know. */
function signed({ asker }: Question, answer: Answer): Answer {
  const found = find(answer.text, ['result', 'inputRequests'])
  const sign = asker?.sign
  if (sign === undefined || found === undefined || answer.text[found.at] !== '{') return answer
  const edits = members(answer.text, found.at).flatMap(({ at }) => {
    const method = textAt(answer.text, find(answer.text, ['method'], at))
    const params = find(answer.text, ['params'], at)
    if (params === undefined || answer.text[params.at] !== '{') return []
    return [replace(params, sign(String(method), answer.text.slice(params.at, params.to)))]
  })
  return { ...answer, text: splice(answer.text, edits) }
}

function textAt(text: string, found: Member | undefined): unknown {
  return found === undefined ? undefined : JSON.parse(text.slice(found.at, found.to))
}

/** Puts what a server wants to know to a legacy client: members of the params with which the request is sent again. */
export async function respond({ asker, target, signal }: Question, { result }: Answer): Promise<readonly string[]> {
  const { inputRequests, requestState } = result
  const added = requestState === undefined ? [] : [`"requestState":${JSON.stringify(requestState)}`]
  const requests = isRecord(inputRequests) ? Object.entries(inputRequests) : []
  if (requests.length === 0) await pause(emptyPause, undefined, { signal })
  const responses = await Promise.all(
    requests.map(async ([key, request]) => {
      if (asker === undefined || !isRecord(request)) throw new Refusal('input', { server: target.server })
      const params = JSON.stringify(legacyParams(request))
      const answer = await putTo(asker, String(request.method), params, signal).catch((cause: unknown) => {
        if (!(cause instanceof NotAnswered) || signal.aborted) throw cause
        throw new Refusal('input', { server: target.server }, { cause })
      })
      return `${JSON.stringify(key)}:${resultOf(answer, target.server)}`
    }),
  )
  return responses.length === 0 ? added : [...added, `"inputResponses":{${responses.join(',')}}`]
}

function legacyParams({ params }: Readonly<Record<string, unknown>>): object {
  if (!isRecord(params)) return {}
  return params.mode === 'url' && params.elicitationId === undefined
    ? { ...params, elicitationId: randomUUID() }
    : params
}

function resultOf({ text }: Message, server: string): string {
  const found = find(text, ['result'])
  if (found === undefined) throw new Refusal('input', { server })
  return text.slice(found.at, found.to)
}
