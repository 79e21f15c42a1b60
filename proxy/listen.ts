import { untilAborted } from './abort.ts'
import { metaKeys, self } from './envelope.ts'
import { Ended } from './exchange.ts'
import { type Kind, kinds } from './grant.ts'
import { isRecord, type Message } from './message.ts'
import { offers } from './offer.ts'
import { Refusal } from './refusal.ts'
import { find } from './relabel.ts'
import { startStream, takesStream, writeOn } from './reply.ts'
import { ownerOfUri } from './resolve.ts'
import { members, objectOf, replace, splice } from './splice.ts'
import { eventOf } from './sse.ts'
import { Subscriptions } from './subscriptions.ts'
import { grantOf, holds, type Snapshot } from './table.ts'
import type { Visit } from './visit.ts'

/** Streams of one agent at once. */
const mostOfAgent = 32
const keepAlive = 15_000
/** How long may be looked for whose a resource is, and a server take to note it, ms. */
const lookLimit = 10_000

/** What a client asks to hear of, by kind. */
const filters = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
} as const satisfies Record<Kind, string>

const open = new Map<string, number>()

/** Those of the resources that a client asks for of which a server took note. */
async function subscribe(
  visit: Visit,
  asked: readonly unknown[],
  { take, signal }: { readonly take: (text: string) => void; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const subscriptions = new Subscriptions({ gateway: visit.gateway, agent: visit.agent, take, signal })
  const limited = AbortSignal.any([signal, AbortSignal.timeout(lookLimit)])
  const taken = await Promise.allSettled(
    asked.filter(isText).map(async (uri) => {
      await subscriptions.add(await ownerOfUri({ visit, era: 'modern', signal: () => limited }, uri))
      return uri
    }),
  )
  return taken.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

/** A server's notification with the id of the stream that it goes to, and of no other. */
function tagged(text: string, id: string): string {
  const meta = `"_meta":{"io.modelcontextprotocol/subscriptionId":${id}}`
  const params = find(text, ['params'])
  if (params === undefined) return text
  const kept = members(text, params.at).filter(({ key }) => key !== '_meta')
  return splice(text, [replace(params, objectOf(text, kept, [meta]))])
}

/** Tells a modern client what changes, until it goes or loses its token (2026-07-28, basic/patterns/subscriptions). */
export async function serveListen(visit: Visit, message: Message): Promise<void> {
  const { gateway, agent, hash, only, request, response } = visit
  const { notifications } = message.params
  if (!isRecord(notifications)) throw new Refusal('params', { why: 'notifications must be an object' })
  const { resourceSubscriptions: asked = [] } = notifications
  if (!Array.isArray(asked)) throw new Refusal('params', { why: 'resourceSubscriptions must be a list' })
  if (!takesStream(request.headers.accept)) throw new Refusal('not-acceptable')
  const count = open.get(agent) ?? 0
  if (count >= mostOfAgent) throw new Refusal('params', { why: `an agent has at most ${mostOfAgent} listen streams` })
  const isGranted = (table: Snapshot) => only === undefined || grantOf(table, agent, only) !== undefined
  const allowed = (table: Snapshot) => holds(table, hash, Date.now()) && isGranted(table)
  const exchange = gateway.exchanges.open({ agent, kind: 'stream', allowed })
  response.once('close', () => exchange.end(new Ended('left', 'the client went away')))
  open.set(agent, count + 1)
  startStream(response, 200)
  try {
    await tell({ visit, id: message.id ?? 'null', notifications, asked }, exchange.signal)
  } finally {
    open.set(agent, (open.get(agent) ?? 1) - 1)
    exchange.close()
  }
}

interface Telling {
  readonly visit: Visit
  /** JSON text. */
  readonly id: string
  readonly notifications: Readonly<Record<string, unknown>>
  readonly asked: readonly unknown[]
}

async function tell({ visit, id, notifications, asked }: Telling, signal: AbortSignal): Promise<void> {
  const { gateway, agent, only, response } = visit
  const meta = { 'io.modelcontextprotocol/subscriptionId': JSON.parse(id) }
  const write = (event: string) => void (signal.aborted || writeOn(response, event))
  const send = (method: string, params: object) =>
    write(eventOf(JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, _meta: meta } })))
  // The acknowledgement comes first, whatever a server says before another one took note.
  const early: string[] = []
  let take = (text: string) => void early.push(text)
  const uris = await subscribe(visit, asked, { take: (text) => take(text), signal })
  const heard = kinds.filter((kind) => notifications[filters[kind]] === true && offers(visit, `${kind}/list`))
  send('notifications/subscriptions/acknowledged', {
    notifications: {
      ...Object.fromEntries(heard.map((kind) => [filters[kind], true])),
      ...(uris.length > 0 && { resourceSubscriptions: uris }),
    },
  })
  take = (text) => write(eventOf(tagged(text, id)))
  for (const text of early) take(text)
  const pulse = setInterval(() => write(': \n\n'), keepAlive)
  const unlisten = gateway.news.listen({
    agent,
    only,
    tell: (kind) => void (heard.includes(kind) && send(`notifications/${kind}/list_changed`, {})),
  })
  const leave = heard.length === 0 ? undefined : gateway.heeds.attend({ agent, only })
  await untilAborted(signal)
  leave?.()
  unlisten()
  clearInterval(pulse)
  const result = { resultType: 'complete', _meta: { ...meta, [metaKeys.server]: self } }
  if (!response.destroyed) response.end(eventOf(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result)}}`))
}
