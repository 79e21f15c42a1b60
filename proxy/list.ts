import { ask } from './ask.ts'
import { allows } from './grant.ts'
import { isRecord, type Message } from './message.ts'
import { jointName } from './names.ts'
import { reach } from './reach.ts'
import { elements, members, objectOf } from './splice.ts'
import { grantedServers, grantOf } from './table.ts'
import type { Visit } from './visit.ts'

/** How long a list waits for one server, ms. */
const serverLimit = 5_000
const pageLimit = 64

/** JSON texts of the tools that an agent may use, named as on the joint endpoint, by server and then as the server has them. A server that does not answer in time is left out. */
export async function listTools(
  visit: Visit,
  era: 'modern' | 'legacy',
  signal: AbortSignal,
): Promise<readonly string[]> {
  const servers = grantedServers(visit.snapshot, visit.agent)
  const lists = await Promise.all(
    servers.map((server) =>
      listServer(visit, server, era, AbortSignal.any([signal, AbortSignal.timeout(serverLimit)])).catch(
        (err: unknown) => {
          signal.throwIfAborted()
          visit.gateway.counters.errors++
          visit.gateway.log.warn({ err, server }, 'left out of a list of tools')
          return []
        },
      ),
    ),
  )
  return [...new Map(lists.flat().map(({ name, text }) => [name, text])).values()]
}

interface Listed {
  readonly name: string
  readonly text: string
}

async function listServer(
  visit: Visit,
  server: string,
  era: 'modern' | 'legacy',
  signal: AbortSignal,
): Promise<readonly Listed[]> {
  const grant = grantOf(visit.snapshot, visit.agent, server)
  const prefix = visit.snapshot.servers.get(server)?.prefix ?? ''
  if (grant === undefined || grant.tools.length === 0) return []
  const texts = await listPages(visit, server, era, signal)
  return texts.flatMap((text) => {
    const tool: unknown = JSON.parse(text)
    if (!isRecord(tool) || typeof tool.name !== 'string' || !allows(grant, 'tools', tool.name)) return []
    const name = jointName(prefix, tool.name)
    return [{ name, text: renamed(text, name, era) }]
  })
}

async function listPages(
  visit: Visit,
  server: string,
  era: 'modern' | 'legacy',
  signal: AbortSignal,
): Promise<readonly string[]> {
  const target = await reach(visit.gateway, server, signal)
  const texts: string[] = []
  let cursor: unknown
  for (let page = 0; page < pageLimit; page++) {
    const message = listMessage(cursor)
    const { text, code, result } = await ask(visit.gateway, {
      target,
      agent: visit.agent,
      era,
      message,
      signal,
      note: () => undefined,
    })
    if (code === -32601) return texts
    if (!Array.isArray(result.tools)) throw new Error(`tools/list answered ${text.slice(0, 200)}`)
    texts.push(...toolTexts(text))
    if (typeof result.nextCursor !== 'string') return texts
    cursor = result.nextCursor
  }
  return texts
}

function listMessage(cursor: unknown): Message {
  const params = cursor === undefined ? {} : { cursor }
  const text = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'tools/list', params })
  return { text, kind: 'request', id: '0', method: 'tools/list', params }
}

function toolTexts(text: string): readonly string[] {
  const result = members(text).find(({ key }) => key === 'result')
  const tools = result && members(text, result.at).find(({ key }) => key === 'tools')
  return tools === undefined ? [] : elements(text, tools.at)
}

/** Tasks are not offered here, so what tools say of them goes; a legacy client takes only objects as structured output. */
function renamed(text: string, name: string, era: 'modern' | 'legacy'): string {
  const found = members(text)
  const output = found.find(({ key }) => key === 'outputSchema')
  const schema = output && text.slice(output.at, output.to)
  const wrap = era === 'legacy' && schema !== undefined && !isObjectSchema(schema)
  const dropped = new Set(['name', 'execution', ...(wrap ? ['outputSchema'] : [])])
  const wrapped = wrap
    ? [`"outputSchema":{"type":"object","properties":{"result":${schema}},"required":["result"]}`]
    : []
  const kept = found.filter(({ key }) => !dropped.has(key))
  return objectOf(text, kept, [`"name":${JSON.stringify(name)}`, ...wrapped])
}

function isObjectSchema(schema: string): boolean {
  const parsed: unknown = JSON.parse(schema)
  return isRecord(parsed) && parsed.type === 'object'
}
