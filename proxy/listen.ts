import { once } from 'node:events'
import { metaKeys, self } from './envelope.ts'
import type { Kind } from './grant.ts'
import { isRecord, type Message } from './message.ts'
import { offers } from './offer.ts'
import { Refusal } from './refusal.ts'
import { startStream, takesStream } from './reply.ts'
import { eventOf } from './sse.ts'
import { holds } from './table.ts'
import type { Visit } from './visit.ts'

/** Streams of one agent at once. */
const mostOfAgent = 32
const keepAlive = 15_000

/** What a client asks to hear of, by kind. */
const filters = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
} as const satisfies Record<Kind, string>
const listed: readonly Kind[] = ['tools', 'prompts', 'resources']

const open = new Map<string, number>()

/** Tells a modern client what changes, until it goes or loses its token (2026-07-28, basic/patterns/subscriptions). */
export async function serveListen(visit: Visit, message: Message): Promise<void> {
  const { gateway, agent, hash, request, response } = visit
  const { notifications } = message.params
  if (!isRecord(notifications)) throw new Refusal('params', { why: 'notifications must be an object' })
  if (!takesStream(request.headers.accept)) throw new Refusal('not-acceptable')
  const count = open.get(agent) ?? 0
  if (count >= mostOfAgent) throw new Refusal('params', { why: `an agent has at most ${mostOfAgent} listen streams` })
  const kinds = listed.filter((kind) => notifications[filters[kind]] === true && offers(visit, `${kind}/list`))
  const id: unknown = JSON.parse(message.id ?? 'null')
  const meta = { 'io.modelcontextprotocol/subscriptionId': id }
  const send = (method: string, params: object) =>
    response.write(eventOf(JSON.stringify({ jsonrpc: '2.0', method, params: { ...params, _meta: meta } })))
  const exchange = gateway.exchanges.open({ agent, kind: 'stream', allowed: (t) => holds(t, hash, Date.now()) })
  open.set(agent, count + 1)
  startStream(response, 200)
  send('notifications/subscriptions/acknowledged', {
    notifications: Object.fromEntries(kinds.map((kind) => [filters[kind], true])),
  })
  const pulse = setInterval(() => response.write(': \n\n'), keepAlive)
  const unlisten = gateway.news.listen({
    agent,
    tell: (kind) => void (kinds.includes(kind) && send(`notifications/${kind}/list_changed`, {})),
  })
  await once(response, 'close', { signal: exchange.signal }).catch(() => undefined)
  unlisten()
  clearInterval(pulse)
  open.set(agent, (open.get(agent) ?? 1) - 1)
  const result = { resultType: 'complete', _meta: { ...meta, [metaKeys.server]: self } }
  if (!response.destroyed) response.end(eventOf(JSON.stringify({ jsonrpc: '2.0', id, result })))
  exchange.close()
}
