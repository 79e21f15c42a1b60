import { orAbort } from './abort.ts'
import { envelopeFor } from './asker.ts'
import { type Named, restoreToken, toUpstream } from './bridge.ts'
import { cancel } from './cancel.ts'
import { legacyHeaders, modernHeaders } from './envelope.ts'
import type { Gateway } from './gateway.ts'
import type { Finding } from './inquire.ts'
import { type Answer, type Question, SessionLost, walk } from './leg.ts'
import { passLevel } from './level.ts'
import { isRecord, type Message } from './message.ts'
import { NotGood } from './not-good.ts'
import { overhear } from './overhear.ts'
import { checkParams, writeParams } from './params.ts'
import { pinAnswer, refuseWithheld } from './pinned-call.ts'
import { isStrict } from './pinning.ts'
import { openSession, type PooledSession } from './pool.ts'
import { Refusal } from './refusal.ts'
import { respond, roundLimit, sealed, unsealed } from './round.ts'
import { askSuspendably, maySuspend } from './suspension.ts'

let lastId = 0

/** Puts a question in the upstream's era and gives its answer in the client's. Throws `Refusal`, `UpstreamFailed` or the signal's reason. */
export async function ask(gateway: Gateway, question: Question): Promise<Answer> {
  const { target, era, message } = question
  const { server } = target
  const finding = gateway.probes.known(target.generation) ?? (await find(gateway, question))
  const called = message.method === 'tools/call' ? calledOf(question) : undefined
  refuseWithheld(gateway, target, finding.definitions, called)
  const declared = (called !== undefined && finding.params.get(called)) || []
  if (era === 'modern') checkParams(declared, message.params.arguments, question.headers ?? {})
  const answer =
    finding.era === 'modern'
      ? await askInRounds(gateway, question, writeParams(declared, message.params.arguments))
      : await askLegacy(gateway, question)
  if (answer.code === -32021) throw new Refusal(era === 'modern' ? 'capability' : 'input', { server }, dataOf(answer))
  if (answer.code === -32020 || answer.code === -32022)
    throw new Refusal('answer', { server, why: `error ${answer.code}` })
  return isStrict(target.pins) ? { ...answer, text: pinAnswer(gateway, target, answer.text) } : answer
}

function dataOf({ text }: Answer): { readonly data: unknown } {
  const parsed: unknown = JSON.parse(text)
  return { data: isRecord(parsed) && isRecord(parsed.error) ? parsed.error.data : undefined }
}

async function find({ probes }: Gateway, { target, signal }: Question): Promise<Finding> {
  return orAbort(probes.finding(target), signal).catch((cause: unknown) => {
    if (signal.aborted) throw signal.reason
    const refusal = cause instanceof NotGood ? cause.cause : cause
    throw refusal instanceof Refusal ? refusal : new Refusal('down', { server: target.server }, { cause })
  })
}

type Headers = Readonly<Record<string, string>>

/** Asks until the server needs nothing more of the client; a modern client is asked by its answer, and comes again. */
async function askInRounds(gateway: Gateway, question: Question, params: Headers): Promise<Answer> {
  const { era, asker, target } = question
  const state = era === 'modern' ? unsealed(gateway.seal, question) : []
  let added: readonly string[] = []
  for (let round = 0; round < roundLimit; round++) {
    const answer = await askModern(gateway, question, { params, state, added })
    if (answer.result.resultType !== 'input_required') return answer
    if (era === 'modern') return sealed(gateway.seal, question, answer)
    if (asker?.ask === undefined) throw new Refusal('input', { server: target.server })
    added = await respond(question, answer)
  }
  throw new Refusal('answer', { server: target.server, why: `it asked for input more than ${roundLimit} times` })
}

interface Round {
  readonly params: Headers
  readonly state: readonly Named[]
  readonly added: readonly string[]
}

function askModern(gateway: Gateway, question: Question, { params, state, added }: Round): Promise<Answer> {
  const { message, named, asker } = question
  const headers = { ...params, ...modernHeaders(message.method, calledOf(question)) }
  const id = String(++lastId)
  const set = named === undefined ? state : [named, ...state]
  const envelope = asker === undefined ? {} : { envelope: envelopeFor(asker) }
  const body = toUpstream(message, { era: 'modern', id, set, added, ...envelope })
  return walk(gateway, question, { from: 'modern', headers, body, id })
}

function askLegacy(gateway: Gateway, question: Question): Promise<Answer> {
  const run = (one: Question) => askOwnSession(gateway, one)
  return maySuspend(question) ? askSuspendably(gateway, question, run) : run(question)
}

async function askOwnSession(gateway: Gateway, question: Question): Promise<Answer> {
  const open = () => orAbort(sessionFor(gateway, question), question.signal)
  const first = await open()
  try {
    return await askInSession(gateway, question, first)
  } catch (error) {
    if (!(error instanceof SessionLost)) throw error
    await forget(gateway, question, first)
    return askInSession(gateway, question, await open())
  }
}

/** A client that can be asked something has sessions of its own; all others of an agent share one. */
async function sessionFor(gateway: Gateway, { target, agent, asker }: Question): Promise<PooledSession> {
  const session = asker?.session
  if (session === undefined) return gateway.pool.session(target, agent)
  const known = session.upstream.get(target.generation)
  if (known !== undefined) return known
  const holder = { agent, session: session.id, capabilities: asker?.capabilities ?? {} }
  const opening = openSession(gateway.upstreams, target, holder)
  session.upstream.set(target.generation, opening)
  try {
    const own = await opening
    passLevel(gateway, session, own)
    await overhear({ gateway, session, own })
    return own
  } catch (error) {
    session.upstream.delete(target.generation)
    throw error
  }
}

/** Another call may have heard first that it is lost, and opened the next one. */
async function forget({ pool }: Gateway, { target, asker }: Question, lost: PooledSession): Promise<void> {
  if (asker?.session === undefined) await pool.forget(lost)
  else if (await asker.session.has(lost)) asker.session.upstream.delete(target.generation)
}

async function askInSession(gateway: Gateway, question: Question, session: PooledSession): Promise<Answer> {
  const id = String(++lastId)
  const token = `"gateway-${id}"`
  const theirs = tokenOf(question.message)
  const { named } = question
  const body = toUpstream(question.message, { era: 'legacy', id, token, ...(named && { set: [named] }) })
  const note = (text: string) => {
    const own = restoreToken(text, token, theirs)
    if (own !== undefined) question.note(own)
  }
  const leg = { from: 'legacy', headers: legacyHeaders(session), body, id, session } as const
  return walk(gateway, { ...question, note }, leg).catch((error: unknown) => {
    if (question.signal.aborted) cancel(gateway, { target: question.target, ...leg })
    throw error
  })
}

/** The parameter that a modern request repeats as `Mcp-Name`, by its method. */
const callers: Readonly<Record<string, string>> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
}

/** What a request asks for, as its upstream calls it. */
function calledOf({ message: { method, params }, named }: Question): string | undefined {
  const key = callers[method]
  const called = key === undefined ? undefined : (named?.value ?? params[key])
  return typeof called === 'string' ? called : undefined
}

function tokenOf({ params }: Message): string | undefined {
  const token = isRecord(params._meta) ? params._meta.progressToken : undefined
  return token === undefined ? undefined : JSON.stringify(token)
}
