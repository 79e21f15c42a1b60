import { legacyHeaders, legacyVersions, newestLegacy, self } from './envelope.ts'
import { endSession } from './inquire.ts'
import { isRecord } from './message.ts'
import { post, postUntil, type Reply } from './post.ts'
import { Refusal } from './refusal.ts'
import type { Holder } from './state-id.ts'
import { grantOf, type Snapshot, type Target } from './table.ts'
import type { Upstreams } from './upstream.ts'

/** A legacy session that the proxy keeps at an upstream for one agent; no two agents share one. */
export interface PooledSession {
  readonly agent: string
  readonly target: Target
  /** Undefined where the upstream gives out none. */
  readonly id: string | undefined
  readonly version: string
  /** What an upstream without sessions tells it apart by. */
  readonly stateId: string
}

export interface Pool extends AsyncDisposable {
  /** The agent's session at a generation; opens it if there is none. */
  session(target: Target, agent: string): Promise<PooledSession>
  /** Forgets one that its upstream does not know any more, if that was not done yet. */
  forget(session: PooledSession): Promise<void>
  /** Ends what is not used: generations that do not serve, agents without the grant, long idle ones. */
  review(snapshot: Snapshot, now: number): void
}

interface Slot {
  readonly opening: Promise<PooledSession>
  usedAt: number
}

const openLimit = 10_000
/** Longer than any call. */
const idleLimit = 15 * 60_000

export function createPool(upstreams: Upstreams): Pool {
  const slots = new Map<string, Slot>()
  const end = (key: string, { opening }: Slot) => {
    slots.delete(key)
    return opening.then((session) => endPooled(upstreams, session)).catch(() => undefined)
  }
  return {
    session: (target, agent) => sessionOf({ upstreams, slots, target, agent }),
    forget: async (session) => {
      const key = keyOf(session.target, session.agent)
      const slot = slots.get(key)
      const held = await slot?.opening.catch(() => undefined)
      if (held === session && slots.get(key) === slot) slots.delete(key)
    },
    review: (snapshot, now) => {
      for (const [key, slot] of slots) if (now - slot.usedAt > idleLimit || !wanted(key, snapshot)) void end(key, slot)
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...slots].map(([key, slot]) => end(key, slot)))
    },
  }
}

const keyOf = (target: Target, agent: string) => `${target.generation} ${agent}`

function wanted(key: string, snapshot: Snapshot): boolean {
  const [generation = '', agent = ''] = key.split(' ')
  const target = snapshot.targets.get(generation)
  return target?.role === 'serving' && grantOf(snapshot, agent, target.server) !== undefined
}

interface Opening {
  readonly upstreams: Upstreams
  readonly slots: Map<string, Slot>
  readonly target: Target
  readonly agent: string
}

function sessionOf({ upstreams, slots, target, agent }: Opening): Promise<PooledSession> {
  const key = keyOf(target, agent)
  const known = slots.get(key)
  if (known !== undefined) {
    known.usedAt = Date.now()
    return known.opening
  }
  const slot: Slot = { opening: openSession(upstreams, target, { agent, capabilities: {} }), usedAt: Date.now() }
  slots.set(key, slot)
  slot.opening.catch(() => {
    if (slots.get(key) === slot) slots.delete(key)
  })
  return slot.opening
}

export interface Opener extends Holder {
  /** What it can be asked. */
  readonly capabilities: Readonly<Record<string, unknown>>
  /** Beside those of the protocol. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Opens a session at an upstream for one agent. Throws `Refusal` or `UpstreamFailed`, and leaves none behind then. */
export async function openSession(
  upstreams: Upstreams,
  target: Target,
  { capabilities, headers = {}, ...holder }: Opener,
): Promise<PooledSession> {
  const signal = AbortSignal.timeout(openLimit)
  const params = { protocolVersion: newestLegacy, capabilities, clientInfo: self }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  const stateId = upstreams.stateId(target.server, holder)
  let version = ''
  const sending = {
    target,
    method: 'POST',
    headers: { ...legacyHeaders({ stateId }), ...headers },
    body,
    signal,
  } as const
  const opened = await postUntil(upstreams, sending, (text) => {
    const message: unknown = JSON.parse(text)
    if (!isRecord(message) || !isRecord(message.result)) return false
    version = String(message.result.protocolVersion)
    return true
  })
  const session = { agent: holder.agent, target, id: opened.sessionId, version, stateId }
  try {
    await confirm(upstreams, session, { opened, signal })
    return session
  } catch (error) {
    await endPooled(upstreams, session)
    throw error
  }
}

async function confirm(
  upstreams: Upstreams,
  session: PooledSession,
  { opened, signal }: { readonly opened: Reply; readonly signal: AbortSignal },
): Promise<void> {
  const { target, version } = session
  const why = `initialize answered HTTP ${opened.status} ${opened.type}`.trim()
  if (!legacyVersions.includes(version)) throw new Refusal('answer', { server: target.server, why })
  const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })
  await post(upstreams, { target, method: 'POST', headers: legacyHeaders(session), body, signal }, () => undefined)
}

/** Ends a session at its upstream, as well as that can be done. */
export async function endPooled(upstreams: Upstreams, session: PooledSession): Promise<void> {
  if (session.id !== undefined) await endSession(upstreams, session.target, legacyHeaders(session))
}
