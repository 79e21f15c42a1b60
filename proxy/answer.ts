import type { Body, Message } from './message.ts'
import { Refusal } from './refusal.ts'
import { type Sink, sendJson, sendRefusal, takesStream, WholeSink } from './reply.ts'
import type { Visit } from './visit.ts'

type Era = 'modern' | 'legacy'
/** Gives JSON text of the response to one request; throws a `Refusal`. */
type AnswerOne = (message: Message, sink: Sink) => Promise<string> | string

/** Answers each request of a body by itself; a body without one is taken note of. */
export async function answerEach(
  visit: Visit,
  { body, era }: { readonly body: Body; readonly era: Era },
  answer: AnswerOne,
): Promise<void> {
  const { response, request } = visit
  const first = body.messages.find(({ kind }) => kind === 'request')
  if (first === undefined) response.writeHead(202).end()
  else if (body.batch) await answerBatch(visit, body, answer)
  else {
    const streams = takesStream(request.headers.accept)
    const sink = visit.session?.sink(response, streams) ?? new WholeSink(response, streams)
    try {
      sink.end(200, await answer(first, sink))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      countRefusal(visit, error)
      sink.end(statusFor(error, era), error.body(first.id))
    }
  }
}

async function answerBatch(visit: Visit, { messages }: Body, answer: AnswerOne): Promise<void> {
  const requests = messages.filter(({ kind }) => kind === 'request')
  const answers = await Promise.all(requests.map((message) => settled(visit, message, answer)))
  sendJson(visit.response, 200, `[${answers.join(',')}]`)
}

const silent: Sink = { ask: undefined, note: () => undefined, end: () => undefined }

async function settled(visit: Visit, message: Message, answer: AnswerOne): Promise<string> {
  try {
    return await answer(message, silent)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    countRefusal(visit, error)
    return error.body(message.id)
  }
}

/** Refuses a whole body: each request of a batch is told so, the others that they were not sent. */
export function refuseBody(visit: Visit, body: Body, refusals: ReadonlyMap<Message, Refusal>, era: Era): void {
  const notSent = new Refusal('batch-refused')
  const requests = body.messages.filter(({ kind }) => kind === 'request')
  const [first] = refusals.values()
  for (const refusal of refusals.values()) countRefusal(visit, refusal)
  if (requests.length === 0 || first === undefined) visit.response.writeHead(202).end()
  else if (body.batch)
    sendJson(
      visit.response,
      200,
      `[${requests.map((message) => (refusals.get(message) ?? notSent).body(message.id)).join(',')}]`,
    )
  else sendRefusal(visit.response, first, first.body(requests[0]?.id), statusFor(first, era))
}

/** The newer era answers a method that is not there with HTTP 404. */
function statusFor(refusal: Refusal, era: Era): number {
  return era === 'modern' && refusal.refusal === 'unknown-method' ? 404 : refusal.status
}

/** A refusal of a request says which one it was. */
export async function answering(
  { gateway, response }: Visit,
  { batch, messages }: Body,
  serve: () => Promise<void>,
): Promise<void> {
  try {
    await serve()
  } catch (error) {
    const [message] = messages
    if (!(error instanceof Refusal) || response.headersSent || batch || message?.id === undefined) throw error
    countRefusal({ gateway }, error)
    sendRefusal(response, error, error.body(message.id))
  }
}

const faults: ReadonlySet<string> = new Set([
  'down',
  'resting',
  'credential',
  'no-credential',
  'answer',
  'timeout',
  'uncounted',
  'internal',
])

export function countRefusal({ gateway }: Pick<Visit, 'gateway'>, { refusal }: Refusal): void {
  if (faults.has(refusal)) gateway.counters.errors++
  else gateway.counters.refusals++
}
