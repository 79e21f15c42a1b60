import type { IncomingHttpHeaders } from 'node:http'
import { type Asker, putTo } from './asker.ts'
import { type Named, toClient } from './bridge.ts'
import { replyTo } from './demand.ts'
import type { Gateway } from './gateway.ts'
import { NotAnswered } from './hosted.ts'
import type { Era } from './inquire.ts'
import { isRecord, type Message } from './message.ts'
import type { PooledSession } from './pool.ts'
import { post, postUntil, type Reply } from './post.ts'
import { Refusal } from './refusal.ts'
import type { Spending } from './spending.ts'
import type { Target } from './table.ts'
import type { Sending } from './transfer.ts'

/** One request to be put to one upstream, whatever the eras of the two sides. */
export interface Question {
  readonly target: Target
  readonly agent: string
  /** The client's era. */
  readonly era: Era
  readonly message: Message
  /** What is asked for as it is called there, if that differs. */
  readonly named?: Named
  /** Of a modern client. */
  readonly headers?: IncomingHttpHeaders
  /** Who wants to know; absent where nobody can be asked anything. */
  readonly asker?: Asker
  readonly signal: AbortSignal
  /** What it has taken of budgets. */
  readonly spending?: Spending | undefined
  /** Takes each notification that comes before the answer. */
  readonly note: (text: string) => void
}

export interface Answer {
  /** A JSON-RPC response in the client's era, with its id. */
  readonly text: string
  /** Of the error, if it is one. */
  readonly code: number | undefined
  readonly result: Readonly<Record<string, unknown>>
}

/** A question in the words of its upstream. */
export interface Leg {
  readonly from: Era
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** JSON text of the id that the upstream sees. */
  readonly id: string
  readonly session?: PooledSession
}

/** The upstream does not know the session any more, and so did nothing. */
export class SessionLost extends Error {
  override readonly name = 'SessionLost'
}

/** Sends a leg and waits for its answer, not for the end of what carries it. */
export async function walk(gateway: Gateway, question: Question, leg: Leg): Promise<Answer> {
  const { target, signal, spending } = question
  let answer: Answer | undefined
  const take = (text: string, status: number) => {
    if (lost(status, leg)) return false
    answer = readAnswer(text, question, leg)
    if (answer === undefined) hear(gateway, question, leg, text)
    else spending?.answered(undefined, { error: answer.code !== undefined, result: answer.result })
    return answer !== undefined
  }
  const { headers, body } = leg
  const started = () => spending?.sent()
  const reply = await postUntil(gateway.upstreams, { target, method: 'POST', headers, body, signal, started }, take)
  if (answer !== undefined) return answer
  spending?.status(reply.status)
  throw noAnswer(reply, target, leg)
}

function readAnswer(text: string, { era, message }: Question, { from, id }: Leg): Answer | undefined {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || parsed.method !== undefined) return undefined
  if (
    !(typeof parsed.id === 'number' && String(parsed.id) === id) &&
    !(isRecord(parsed.error) && (parsed.id ?? null) === null)
  )
    return undefined
  const code = isRecord(parsed.error) ? Number(parsed.error.code) : undefined
  const result = isRecord(parsed.result) ? parsed.result : {}
  return { text: toClient(text, { from, to: era }, message.id ?? 'null'), code, result }
}

/** What comes before the answer: a notification goes on, a request of the server's is put to the client. */
function hear(gateway: Gateway, question: Question, { headers }: Leg, text: string): void {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || typeof parsed.method !== 'string') return
  const { target, signal } = question
  if (parsed.method.endsWith('/list_changed')) gateway.probes.again(target.generation)
  if (parsed.id === undefined) question.note(text)
  else
    void replyTo(text, async (method, params) => {
      if (question.asker === undefined) throw new NotAnswered('nobody can be asked')
      return putTo(question.asker, method, params, signal)
    }).then((body) => body && tell(gateway, { target, method: 'POST', headers, body, signal }))
}

/** Says something to a server that nobody waits for but a proxy that leaves. */
export function tell({ upstreams, endings, log }: Gateway, sending: Sending): void {
  const told = post(upstreams, sending, () => undefined).then(
    () => undefined,
    (err: unknown) => log.debug({ err, generation: sending.target.generation }, 'a server could not be told something'),
  )
  endings.track(told)
}

function lost(status: number, { session }: Leg): boolean {
  return status === 404 && session?.id !== undefined
}

function noAnswer(reply: Reply, target: Target, leg: Leg): Error {
  if (lost(reply.status, leg)) return new SessionLost()
  const silent = reply.status < 300 && reply.type === 'text/event-stream'
  const why = silent ? 'its stream ended without an answer' : `HTTP ${reply.status} ${reply.type}`.trim()
  return new Refusal('answer', { server: target.server, why })
}
