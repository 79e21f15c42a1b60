import { randomUUID } from 'node:crypto'
import { orAbort } from './abort.ts'
import { metaKeys, self } from './envelope.ts'
import { Ended, type Exchange } from './exchange.ts'
import type { Gateway } from './gateway.ts'
import { capabilityFor, type HostedSession, NotAnswered } from './hosted.ts'
import type { Answer, Question } from './leg.ts'
import { isRecord, type Message, messageOf } from './message.ts'
import { Refusal } from './refusal.ts'
import { find } from './relabel.ts'
import { expired, unsealed } from './round.ts'
import { lasts } from './seal.ts'
import { members, objectOf, replace, splice } from './splice.ts'
import { askable } from './stand-in.ts'
import { grantOf } from './table.ts'

/** Calls of one agent that wait for it at once; the oldest makes room. */
const mostOfAgent = 100
/** What a server asks in so short a time is asked at once, ms. */
const gatherPause = 20
const suspendable: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Puts a question to a legacy server in the place of a client that has a session. */
type Run = (question: Question) => Promise<Answer>

interface Held {
  /** Begins the handles of this proxy: another one may be asked to go on with a call. */
  readonly here: string
  readonly known: Map<string, Suspension>
}

const held = new WeakMap<Gateway, Held>()

/** Whether a legacy server may ask a modern client something before it answers. */
export function maySuspend({ era, message: { method, params }, asker }: Question): boolean {
  if (era !== 'modern' || !suspendable.has(method)) return false
  return params.requestState !== undefined || Object.keys(askable(asker?.capabilities ?? {})).length > 0
}

/**
 * Puts a modern client's question to a legacy server. What that asks before it answers ends the client's request, but not the call: it
 * goes on with what the client brings with its next one.
 */
export async function askSuspendably(gateway: Gateway, question: Question, run: Run): Promise<Answer> {
  const own = held.get(gateway) ?? { here: randomUUID(), known: new Map<string, Suspension>() }
  held.set(gateway, own)
  const [state] = unsealed(gateway.seal, question)
  const suspension = state === undefined ? begin(gateway, question, { run, ...own }) : found(own, state.value, question)
  return suspension.go(question)
}

/** Calls off what waits for its client, of a proxy that leaves; resolves when the servers are being told. */
export async function callOffSuspended(gateway: Gateway): Promise<void> {
  const known = held.get(gateway)?.known.values() ?? []
  await Promise.all([...known].map((suspension) => suspension.end(new Ended('stopping', 'its proxy was replaced'))))
}

function found({ here, known }: Held, handle: string, { target: { server } }: Question): Suspension {
  const suspension = known.get(handle)
  if (suspension !== undefined) return suspension
  throw handle.startsWith(here) ? expired() : new Refusal('unfinished', { server })
}

function begin(gateway: Gateway, question: Question, { run, here, known }: Held & { readonly run: Run }): Suspension {
  const { agent, target } = question
  const own = [...known.values()].filter((one) => one.agent === agent)
  if (own.length >= mostOfAgent) void own[0]?.end(new Ended('left', 'too many calls of this agent wait for it'))
  const exchange = gateway.exchanges.open({
    agent,
    kind: 'call',
    allowed: (table) => grantOf(table, agent, target.server) !== undefined,
  })
  exchange.move(target.generation)
  const session = gateway.standIns.take(agent, askable(question.asker?.capabilities ?? {}))
  const suspension = new Suspension({
    gateway,
    exchange,
    session,
    question,
    handle: `${here}.${randomUUID()}`,
    over: () => known.delete(suspension.handle),
  })
  known.set(suspension.handle, suspension)
  suspension.start(run)
  return suspension
}

interface Beginnings {
  readonly gateway: Gateway
  readonly exchange: Exchange
  readonly session: HostedSession
  readonly question: Question
  readonly handle: string
  readonly over: () => void
}

interface Asked {
  /** JSON text of the request. */
  readonly text: string
  readonly answer: (message: Message) => void
}

/** A call of a legacy server that may wait for a client between two of its requests. */
class Suspension {
  readonly handle: string
  readonly agent: string
  readonly #made: Beginnings
  readonly #asked = new Map<string, Asked>()
  #question: Question
  #answer: Promise<Answer> = Promise.reject(new Error('not started'))
  #count = 0
  #timer: NodeJS.Timeout | undefined
  /** Tells whoever waits that something was asked. */
  #ring: () => void = () => undefined

  constructor(made: Beginnings) {
    this.#made = made
    this.#question = made.question
    this.agent = made.question.agent
    this.handle = made.handle
    this.#answer.catch(() => undefined)
  }

  start(run: Run): void {
    const { gateway, exchange, session, question } = this.#made
    const { server } = question.target
    const ask = (method: string, params: string) => this.#ask(method, params)
    const over = session.callers.begin(server, ask)
    const asker = { capabilities: session.client.capabilities, ask, session }
    const note = (text: string) => this.#question.note(text)
    this.#answer = run({ ...question, asker, note, signal: exchange.signal }).finally(() => {
      over()
      exchange.close()
    })
    this.#answer.then(
      () => gateway.standIns.giveBack(session),
      () => gateway.standIns.drop(session),
    )
  }

  /** Brings what a request says, and gives the answer or what the server asks now. */
  async go(question: Question): Promise<Answer> {
    clearTimeout(this.#timer)
    this.#question = question
    this.#bring(question.message)
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#ring = () => (this.#asked.size > 0 ? resolve(undefined) : undefined)
    this.#ring()
    try {
      const answer = await orAbort(Promise.race([this.#answer, promise]), question.signal)
      if (answer === undefined) return this.#demand(question)
      this.#made.over()
      return { ...answer, text: withId(answer.text, question.message) }
    } catch (error) {
      void this.end(error instanceof Ended ? error : new Ended('left', 'its call failed'))
      throw error
    }
  }

  /** Resolves when its server is being told. */
  async end(reason: Ended): Promise<void> {
    this.#made.over()
    this.#made.exchange.end(reason)
    await Promise.allSettled([this.#answer])
  }

  #ask(method: string, params: string): Promise<Message> {
    const { exchange, session } = this.#made
    const capability = capabilityFor(method)
    if (capability === undefined || session.client.capabilities[capability] === undefined)
      return Promise.reject(new NotAnswered(`the client does not offer ${capability ?? method}`))
    const { promise, resolve } = Promise.withResolvers<Message>()
    const signed = this.#question.asker?.sign?.(method, params) ?? params
    this.#asked.set(`r${++this.#count}`, {
      text: `{"method":"${method}","params":${modernParams(signed)}}`,
      answer: resolve,
    })
    setTimeout(() => this.#ring(), gatherPause)
    return orAbort(promise, exchange.signal)
  }

  /** Hands on the answers to what was asked; what they leave out is asked again. */
  #bring({ text, params }: Message): void {
    if (!isRecord(params.inputResponses)) return
    for (const [key, { answer }] of this.#asked) {
      const found = find(text, ['params', 'inputResponses', key])
      if (found === undefined || text[found.at] !== '{') continue
      this.#asked.delete(key)
      const result = text.slice(found.at, found.to)
      answer(messageOf(`{"jsonrpc":"2.0","id":0,"result":${result}}`))
    }
  }

  #demand({ message, agent, target }: Question): Answer {
    const late = new Ended('timeout', `nobody answered within ${lasts / 60_000} min`)
    this.#timer = setTimeout(() => void this.end(late), lasts).unref()
    const state = this.#made.gateway.seal.close(this.handle, { agent, server: target.server, message })
    const requests = [...this.#asked].map(([key, { text }]) => `"${key}":${text}`)
    const rest = `"requestState":${JSON.stringify(state)},"_meta":${JSON.stringify({ [metaKeys.server]: self })}`
    const result = `{"resultType":"input_required","inputRequests":{${requests.join(',')}},${rest}}`
    return {
      text: `{"jsonrpc":"2.0","id":${message.id},"result":${result}}`,
      code: undefined,
      result: { resultType: 'input_required' },
    }
  }
}

/** The newer era tells questions apart by other means. */
function modernParams(params: string): string {
  const kept = members(params).filter(({ key }) => key !== 'elicitationId' && key !== '_meta' && key !== 'task')
  return objectOf(params, kept)
}

function withId(text: string, { id = 'null' }: Message): string {
  const own = find(text, ['id'])
  return own === undefined ? text : splice(text, [replace(own, id)])
}
