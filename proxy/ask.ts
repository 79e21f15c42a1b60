import { orAbort } from './abort.ts'
import { restoreToken, toClient, toUpstream } from './bridge.ts'
import { legacyHeaders, modernHeaders } from './envelope.ts'
import { Ended } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import type { Era } from './inquire.ts'
import { isRecord, type Message } from './message.ts'
import { checkParams, writeParams } from './params.ts'
import type { PooledSession } from './pool.ts'
import { post, type Reply } from './post.ts'
import { errorText, Refusal } from './refusal.ts'
import type { Target } from './table.ts'
import { type Sending, UpstreamFailed } from './upstream.ts'

/** One request to be put to one upstream, whatever the eras of the two sides. */
export interface Question {
  readonly target: Target
  readonly agent: string
  /** The client's era. */
  readonly era: Era
  readonly message: Message
  /** What the tool is called there, if that differs. */
  readonly name?: string
  /** `Mcp-Param-*` of a modern client. */
  readonly headers?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
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

let lastId = 0

/** Puts a question in the upstream's era and gives its answer in the client's. Throws `Refusal`, `UpstreamFailed` or the signal's reason. */
export async function ask(gateway: Gateway, question: Question): Promise<Answer> {
  const { target, era, message, signal } = question
  const { server } = target
  const finding = await orAbort(gateway.probes.finding(target), signal).catch((cause: unknown) => {
    throw signal.aborted ? signal.reason : new Refusal('down', { server }, { cause })
  })
  const declared = finding.params.get(question.name ?? '') ?? []
  if (era === 'modern') checkParams(declared, message.params.arguments, question.headers ?? {})
  const answer =
    finding.era === 'modern'
      ? await askModern(gateway, question, writeParams(declared, message.params.arguments))
      : await askLegacy(gateway, question)
  if (answer.result.resultType === 'input_required' || answer.code === -32021) throw new Refusal('input', { server })
  if (answer.code === -32020 || answer.code === -32022)
    throw new Refusal('answer', { server, why: `error ${answer.code}` })
  return answer
}

function askModern(gateway: Gateway, question: Question, params: Readonly<Record<string, string>>): Promise<Answer> {
  const { message, name } = question
  const called = message.method === 'resources/read' ? message.params.uri : (name ?? message.params.name)
  const headers = { ...params, ...modernHeaders(message.method, typeof called === 'string' ? called : undefined) }
  const body = toUpstream(message, name === undefined ? { era: 'modern' } : { era: 'modern', name })
  return exchange(gateway, question, { from: 'modern', headers, body, id: message.id ?? 'null' })
}

async function askLegacy(gateway: Gateway, question: Question): Promise<Answer> {
  const open = () => orAbort(gateway.pool.session(question.target, question.agent), question.signal)
  const first = await open()
  try {
    return await askInSession(gateway, question, first)
  } catch (error) {
    // A session that the upstream does not know means that it did nothing.
    if (!(error instanceof SessionLost)) throw error
    gateway.pool.forget(first)
    return askInSession(gateway, question, await open())
  }
}

async function askInSession(gateway: Gateway, question: Question, session: PooledSession): Promise<Answer> {
  const id = String(++lastId)
  const token = `"gateway-${id}"`
  const theirs = tokenOf(question.message)
  const rewording = { era: 'legacy', id, token } as const
  const body = toUpstream(
    question.message,
    question.name === undefined ? rewording : { ...rewording, name: question.name },
  )
  const note = (text: string) => question.note(theirs === undefined ? text : restoreToken(text, token, theirs))
  const leg = { from: 'legacy', headers: legacyHeaders(session), body, id, session } as const
  return exchange(gateway, { ...question, note }, leg).catch((error: unknown) => {
    if (question.signal.aborted) cancel(gateway, question.target, leg)
    throw error
  })
}

const cancelLimit = 2_000

/** A legacy server goes on when its client hangs up; it has to be told. */
function cancel(gateway: Gateway, target: Target, { headers, id }: Leg): void {
  const body = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`
  tell(gateway, { target, method: 'POST', headers, body, signal: AbortSignal.timeout(cancelLimit) })
}

/** Says something to a server that nobody waits for. */
function tell(gateway: Gateway, sending: Sending): void {
  post(gateway.upstreams, sending, () => undefined).catch((err: unknown) =>
    gateway.log.debug({ err, generation: sending.target.generation }, 'a server could not be told something'),
  )
}

function tokenOf({ params }: Message): string | undefined {
  const token = isRecord(params._meta) ? params._meta.progressToken : undefined
  return token === undefined ? undefined : JSON.stringify(token)
}

class SessionLost extends Error {
  override readonly name = 'SessionLost'
}

interface Leg {
  readonly from: Era
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** JSON text of the id that the upstream sees. */
  readonly id: string
  readonly session?: PooledSession
}

/** A stream that stays open after its answer is given up after this, ms. */
const linger = 1_000

async function exchange(gateway: Gateway, question: Question, leg: Leg): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const enough = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const take = (text: string, status: number) => {
    if (lost(status, leg)) return
    const answer = readAnswer(text, question, leg)
    if (answer === undefined) return hear(gateway, question, leg, text)
    resolve(answer)
    timer = setTimeout(() => enough.abort(new Ended('left', 'answered')), linger)
  }
  const signal = AbortSignal.any([question.signal, enough.signal])
  const { target } = question
  post(gateway.upstreams, { target, method: 'POST', headers: leg.headers, body: leg.body, signal }, take)
    .then((reply) => reject(noAnswer(reply, question, leg)), reject)
    .finally(() => clearTimeout(timer))
  return promise
}

function readAnswer(text: string, { era, message }: Question, { from, id }: Leg): Answer | undefined {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || parsed.method !== undefined) return undefined
  if (parsed.id !== JSON.parse(id) && !(isRecord(parsed.error) && (parsed.id ?? null) === null)) return undefined
  const code = isRecord(parsed.error) ? Number(parsed.error.code) : undefined
  const result = isRecord(parsed.result) ? parsed.result : {}
  return { text: toClient(text, { from, to: era }, message.id ?? 'null'), code, result }
}

/** What comes before the answer: a notification goes on, a request of the server's is declined, as nobody was offered to it. */
function hear(gateway: Gateway, { target, note, signal }: Question, { headers }: Leg, text: string): void {
  const parsed: unknown = JSON.parse(text)
  if (!isRecord(parsed) || parsed.method === undefined) return
  if (parsed.id === undefined) {
    note(text)
    return
  }
  const error = { code: -32601, message: 'Not offered by this client' }
  tell(gateway, { target, method: 'POST', headers, body: errorText(JSON.stringify(parsed.id), error), signal })
}

function lost(status: number, { session }: Leg): boolean {
  return status === 404 && session?.id !== undefined
}

function noAnswer(reply: Reply, { target }: Question, leg: Leg): Error {
  if (lost(reply.status, leg)) return new SessionLost()
  const said =
    reply.status < 300 && reply.type === 'text/event-stream' ? 'its stream ended without one' : `HTTP ${reply.status}`
  const refusal = new Refusal('answer', { server: target.server, why: said })
  return reply.status >= 500 ? new UpstreamFailed(target, true, refusal) : refusal
}
