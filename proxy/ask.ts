import { orAbort } from './abort.ts'
import { restoreToken, toUpstream } from './bridge.ts'
import { legacyHeaders, modernHeaders } from './envelope.ts'
import type { Gateway } from './gateway.ts'
import type { Finding } from './inquire.ts'
import { type Answer, type Leg, type Question, SessionLost, tell, walk } from './leg.ts'
import { isRecord, type Message } from './message.ts'
import { checkParams, writeParams } from './params.ts'
import type { PooledSession } from './pool.ts'
import { Refusal } from './refusal.ts'
import type { Target } from './table.ts'

let lastId = 0

/** Puts a question in the upstream's era and gives its answer in the client's. Throws `Refusal`, `UpstreamFailed` or the signal's reason. */
export async function ask(gateway: Gateway, question: Question): Promise<Answer> {
  const { target, era, message } = question
  const { server } = target
  const finding = gateway.probes.known(target.generation) ?? (await find(gateway, question))
  const declared = (message.method === 'tools/call' && finding.params.get(calledOf(question) ?? '')) || []
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

async function find({ probes }: Gateway, { target, signal }: Question): Promise<Finding> {
  return orAbort(probes.finding(target), signal).catch((cause: unknown) => {
    throw signal.aborted ? signal.reason : new Refusal('down', { server: target.server }, { cause })
  })
}

function askModern(gateway: Gateway, question: Question, params: Readonly<Record<string, string>>): Promise<Answer> {
  const { message, named } = question
  const headers = { ...params, ...modernHeaders(message.method, calledOf(question)) }
  const body = toUpstream(message, { era: 'modern', ...(named && { named }) })
  return walk(gateway, question, { from: 'modern', headers, body, id: message.id ?? 'null' })
}

async function askLegacy(gateway: Gateway, question: Question): Promise<Answer> {
  const open = () => orAbort(gateway.pool.session(question.target, question.agent), question.signal)
  const first = await open()
  try {
    return await askInSession(gateway, question, first)
  } catch (error) {
    if (!(error instanceof SessionLost)) throw error
    gateway.pool.forget(first)
    return askInSession(gateway, question, await open())
  }
}

async function askInSession(gateway: Gateway, question: Question, session: PooledSession): Promise<Answer> {
  const id = String(++lastId)
  const token = `"gateway-${id}"`
  const theirs = tokenOf(question.message)
  const { named } = question
  const body = toUpstream(question.message, { era: 'legacy', id, token, ...(named && { named }) })
  const note = (text: string) => question.note(theirs === undefined ? text : restoreToken(text, token, theirs))
  const leg = { from: 'legacy', headers: legacyHeaders(session), body, id, session } as const
  return walk(gateway, { ...question, note }, leg).catch((error: unknown) => {
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
