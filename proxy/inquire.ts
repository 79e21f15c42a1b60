import { hash } from 'node:crypto'
import type { Definition } from '#manifests/definition.ts'
import { legacyHeaders, metaKeys, modernHeaders, newestLegacy, ownEnvelope, probing, self } from './envelope.ts'
import { isRecord } from './message.ts'
import { isRefused, NotGood, unanswered } from './not-good.ts'
import { type ParamHeader, paramHeadersOf } from './params.ts'
import { readDefinition, toolTexts } from './pinning.ts'
import { post, postUntil, type Reply } from './post.ts'
import type { Target } from './table.ts'
import type { Upstreams } from './upstream.ts'

export type Era = 'modern' | 'legacy'

/** What asking an upstream as an agent would has shown. */
export interface Finding {
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
  readonly tools: readonly string[]
  /** Of its tools; the same object as long as they are the same. */
  readonly definitions: readonly Definition[]
  /** Hash of the texts of its lists. */
  readonly written: string
  /** Hash of the tools as they were listed. */
  readonly digest: string
  /** Of the tools that have any. */
  readonly params: ReadonlyMap<string, readonly ParamHeader[]>
}

type Asked = Reply & {
  readonly message: Readonly<Record<string, unknown>> | undefined
  /** The text of the message. */
  readonly said: string
}
type Ask = (method: string, params: object, headers: Readonly<Record<string, string>>) => Promise<Asked>

const pageLimit = 64
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
  const list = (params: object) => ask('tools/list', { ...params, _meta: ownEnvelope }, modernHeaders('tools/list'))
  const listed = await listTools(list, declaresTools(about), known)
  const { bare, strict } = known ?? (await askLegacy(ask, stray))
  return { era: 'modern', bare, strict, ...about, ...listed }
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
    const listed = await listTools((page) => ask('tools/list', page, headers), declaresTools(about), known)
    return { era: 'legacy', bare: sessionId === undefined, strict: false, ...about, ...listed }
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

type Listed = Pick<Finding, 'tools' | 'params' | 'definitions' | 'digest' | 'written'>

async function listTools(
  list: (params: object) => Promise<Asked>,
  declared: boolean,
  known: Finding | undefined,
): Promise<Listed> {
  const found: Readonly<Record<string, unknown>>[] = []
  const pages: string[] = []
  let params: object | undefined = {}
  for (let page = 0; page < pageLimit && params !== undefined; page++) {
    const answer = await list(params)
    const { message } = answer
    if (!declared && isRecord(message?.error) && message.error.code === -32601) break
    if (!isRecord(message?.result) || !Array.isArray(message.result.tools)) throw notGood('tools/list', answer)
    found.push(...message.result.tools.filter(isRecord))
    pages.push(answer.said)
    const { nextCursor } = message.result
    params = typeof nextCursor === 'string' ? { cursor: nextCursor } : undefined
  }
  const headers = found.map(({ name, inputSchema }) => [String(name), paramHeadersOf(inputSchema)] as const)
  return {
    tools: found.map(({ name }) => String(name)),
    digest: hash('sha256', JSON.stringify(found)),
    params: new Map(headers.filter(([, declared]) => declared.length > 0)),
    ...defined(pages, known),
  }
}

/** Reading definitions costs more than seeing that they are the same. */
function defined(pages: readonly string[], known: Finding | undefined): Pick<Finding, 'definitions' | 'written'> {
  const written = hash('sha256', pages.join('\n'))
  if (known?.written === written) return { written, definitions: known.definitions }
  const definitions = pages.flatMap(toolTexts).flatMap((text) => readDefinition(text) ?? [])
  const before = known?.definitions
  return { written, definitions: isSame(before, definitions) ? before : definitions }
}

function isSame(
  before: readonly Definition[] | undefined,
  after: readonly Definition[],
): before is readonly Definition[] {
  return before?.length === after.length && after.every(({ hash }, index) => hash === before[index]?.hash)
}

const ofMcp: ReadonlySet<string> = new Set(['', 'application/json', 'text/event-stream'])

function notGood(method: string, { status, type, text, message }: Asked): NotGood {
  const kind = ofMcp.has(type) ? '' : ` ${type}`
  const error = isRecord(message?.error) ? message.error : undefined
  const code = typeof error?.code === 'number' ? ` with error ${error.code}` : ''
  return new NotGood(
    `${method} answered HTTP ${status}${kind}${code}`,
    error === undefined ? text : String(error.message),
  )
}

function parse(method: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NotGood(`${method} answered what is not JSON`, text)
  }
}
