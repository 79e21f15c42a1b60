import { type Ask, type Asked, notGood } from './asked.ts'
import { legacyHeaders, metaKeys, modernHeaders, newestLegacy, ownEnvelope, probing, self } from './envelope.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { isRecord } from './message.ts'
import { isRefused, NotGood, unanswered } from './not-good.ts'
import { post, postUntil } from './post.ts'
import type { Target } from './table.ts'
import { listTools, type ToolList } from './tool-list.ts'
import type { Upstreams } from './upstream.ts'

export type Era = 'modern' | 'legacy'

/** What asking an upstream as an agent would has shown. */
export interface Finding extends ToolList {
  readonly era: Era
  /** By the protocol's names. */
  readonly capabilities: Readonly<Record<string, unknown>>
  /** What it says of itself to models; empty for nothing. */
  readonly instructions: string
  /** Whether it answers a legacy request that belongs to no session. */
  readonly bare: boolean
  /** Whether it refuses legacy clients altogether. */
  readonly strict: boolean
  /** What it calls itself. */
  readonly info: Readonly<Record<string, unknown>> | undefined
  /** What it has beside tools, as far as it tells. */
  readonly inventory: Inventory
}

const versionErrors: readonly unknown[] = [-32020, -32021, -32022]

/**
 * Asks an upstream which era it speaks, unless that is known, and which tools it has. Leaves no session behind.
 * Throws with words for the status page when an answer is not good; refused access, faults and silence say nothing about the era.
 */
export async function inquire(
  upstreams: Upstreams,
  target: Target,
  known: Finding | undefined,
  signal: AbortSignal,
): Promise<Finding> {
  if (target.health !== undefined) await checkHealth(upstreams, target, target.health, signal)
  const ask: Ask = async (method, params, asked) => {
    const headers = { ...asked, ...probing }
    let message: Asked['message']
    let said = ''
    const body = JSON.stringify({ jsonrpc: '2.0', id: method, method, params })
    const reply = await postUntil(upstreams, { target, method: 'POST', headers, body, signal }, (text) => {
      const parsed = parse(method, text)
      if (!isRecord(parsed) || !isAnswer(parsed, method)) return false
      message = parsed
      said = text
      return true
    }).catch((error: unknown) => {
      throw unanswered(method, error)
    })
    return { ...reply, message, said }
  }
  const discovered = known?.era === 'legacy' ? undefined : await discover(ask)
  const stateId = upstreams.stateId(target.server, { agent: '' })
  if (discovered !== undefined)
    return inquireModern({ ask, known, stray: legacyHeaders({ stateId }) }, aboutOf(discovered))
  return inquireLegacy({ upstreams, target, ask, known, stateId, signal })
}

/** A refusal may not know which request it belongs to. */
function isAnswer({ id = null, error }: Readonly<Record<string, unknown>>, method: string): boolean {
  return id === method || (id === null && isRecord(error))
}

async function checkHealth(upstreams: Upstreams, target: Target, path: string, signal: AbortSignal): Promise<void> {
  const sending = { target, path, method: 'GET', headers: {}, signal } as const
  const { status } = await post(upstreams, sending, () => undefined).catch((error: unknown) => {
    throw unanswered(path, error)
  })
  if (status > 299) throw new Error(`${path} answered HTTP ${status}`)
}

/** What the server says of itself; undefined where it does not speak the modern era. */
async function discover(ask: Ask): Promise<Readonly<Record<string, unknown>> | undefined> {
  const asked = ask('server/discover', { _meta: ownEnvelope }, modernHeaders('server/discover'))
  const answer = await asked.catch((error: unknown) => {
    if (!(error instanceof NotGood) || isRefused(error)) throw error
  })
  if (answer === undefined) return undefined
  const { status, message } = answer
  if (status >= 500) throw notGood('server/discover', answer)
  if (isRecord(message?.result)) return message.result
  if (isRecord(message?.error) && versionErrors.includes(message.error.code)) throw notGood('server/discover', answer)
  return undefined
}

type About = Pick<Finding, 'capabilities' | 'instructions' | 'info'>

function aboutOf({ capabilities, instructions, serverInfo, _meta }: Readonly<Record<string, unknown>>): About {
  const info = isRecord(_meta) && _meta[metaKeys.server] !== undefined ? _meta[metaKeys.server] : serverInfo
  return {
    info: isRecord(info) ? info : undefined,
    capabilities: isRecord(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? instructions : '',
  }
}

/** A server that declares tools must list them; one that does not need not know the method. */
function declaresTools({ capabilities }: About): boolean {
  return isRecord(capabilities.tools)
}

interface Modern {
  readonly ask: Ask
  readonly known: Finding | undefined
  /** Headers of a legacy request outside of any session. */
  readonly stray: Readonly<Record<string, string>>
}

async function inquireModern({ ask, known, stray }: Modern, about: About): Promise<Finding> {
  const list = (method: string, params: object) => ask(method, { ...params, _meta: ownEnvelope }, modernHeaders(method))
  const listed = await listTools((page) => list('tools/list', page), declaresTools(about), known)
  const inventory = await takeInventory(list, about, known?.inventory)
  const { bare, strict } = known ?? (await askLegacy(ask, stray))
  return { era: 'modern', bare, strict, inventory, ...about, ...listed }
}

/** How a modern server takes a legacy request that belongs to no session: one that wants a session refuses it in other words than one that wants the newer era. */
async function askLegacy(ask: Ask, stray: Modern['stray']): Promise<Pick<Finding, 'bare' | 'strict'>> {
  const { message } = await ask('tools/list', {}, stray)
  const refused = isRecord(message?.error) && [...versionErrors, -32602].includes(message.error.code)
  return { bare: isRecord(message?.result), strict: refused }
}

interface Legacy {
  readonly upstreams: Upstreams
  readonly target: Target
  readonly ask: Ask
  readonly known: Finding | undefined
  readonly stateId: string
  readonly signal: AbortSignal
}

async function inquireLegacy({ upstreams, target, ask, known, stateId, signal }: Legacy): Promise<Finding> {
  const params = { protocolVersion: newestLegacy, capabilities: {}, clientInfo: self }
  const answer = await ask('initialize', params, legacyHeaders({ stateId }))
  const { sessionId, message } = answer
  if (!isRecord(message?.result)) throw notGood('initialize', answer)
  const headers = legacyHeaders({ id: sessionId, version: String(message.result.protocolVersion), stateId })
  try {
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
    await post(upstreams, { target, method: 'POST', headers, body, signal }, () => undefined)
    const about = aboutOf(message.result)
    const list = (method: string, page: object) => ask(method, page, headers)
    const listed = await listTools((page) => list('tools/list', page), declaresTools(about), known)
    const inventory = await takeInventory(list, about, known?.inventory)
    return { era: 'legacy', bare: sessionId === undefined, strict: false, inventory, ...about, ...listed }
  } finally {
    if (sessionId !== undefined) await endSession(upstreams, target, headers)
  }
}

const endLimit = 2_000

/** Ends a session at its upstream, as well as that can be done. */
export async function endSession(
  upstreams: Upstreams,
  target: Target,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const signal = AbortSignal.timeout(endLimit)
  await post(upstreams, { target, method: 'DELETE', headers, signal }, () => undefined).catch(() => undefined)
}

function parse(method: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NotGood(`${method} answered what is not JSON`, text)
  }
}
