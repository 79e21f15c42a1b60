import { randomBytes } from 'node:crypto'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { asRoutine, withBreaker } from './breaker.ts'
import { type Budgets, createBudgets } from './budget.ts'
import { type BudgetStore, openBudgetStore } from './budget-store.ts'
import type { Config } from './config.ts'
import { createEndings, type Endings } from './endings.ts'
import { createExchanges, type Exchanges } from './exchange.ts'
import { createHeeds, type Heeds } from './heed.ts'
import { createHolder, type Holder } from './holder.ts'
import { pseudonymOf } from './hops.ts'
import { createHosting, type Hosting } from './hosting.ts'
import { endSession } from './inquire.ts'
import { createInspection, type Inspection } from './inspection.ts'
import { type Limits, usualLimits } from './limits.ts'
import { createNews, type News } from './news.ts'
import { createPool, endPooled, type Pool, type PooledSession } from './pool.ts'
import { createProbes, type Probes } from './probe.ts'
import { createSeal, type Seal, sealKeyBytes } from './seal.ts'
import { createSessions, type Session, type Sessions } from './session.ts'
import { lenient, openSessionStore, type SessionStore } from './session-store.ts'
import { createStandIns, type StandIns } from './stand-in.ts'
import type { Snapshot } from './table.ts'
import { createUpstreams, type Upstreams } from './upstream.ts'
import { createViews } from './view.ts'

/** What a proxy is made of. */
export interface Gateway {
  readonly config: Config
  /** What it is called where requests say through whom they came. */
  readonly pseudonym: string
  readonly limits: Limits
  readonly holder: Holder
  readonly exchanges: Exchanges
  readonly endings: Endings
  readonly sessions: Sessions
  readonly upstreams: Upstreams
  readonly probes: Probes
  readonly heeds: Heeds
  readonly inspection: Inspection
  readonly pool: Pool
  readonly hosting: Hosting
  readonly standIns: StandIns
  /** Whether its clients' sessions end with it. */
  readonly endsSessions: boolean
  readonly budgets: Budgets
  readonly news: News
  readonly seal: Seal
  readonly counters: Record<'requests' | 'refusals' | 'errors', number>
  readonly log: Logger
}

/** Within which the controller hears what was taken of a budget, ms. */
const budgetPause = 1_000

export interface GatewayOptions {
  readonly config: Config
  readonly log: Logger
  /** Called when the controller should hear something at once. */
  readonly speakUp: () => void
  /** 32 bytes that the proxies of an instance share; default: its own, so that nobody else can go on where it was. */
  readonly sealKey?: Buffer
  /** Where sessions outlive this proxy; default: they end with it. */
  readonly store?: SessionStore
  /** Where budgets are counted; default: by this proxy alone. */
  readonly budgetStore?: BudgetStore
  /** What is to be otherwise than usual. */
  readonly limits?: Partial<Limits>
  readonly signal: AbortSignal
}

/** Joins the parts, and makes each look at every new table, and at the clock once a minute. */
export function createGateway(options: GatewayOptions): Gateway {
  const { config, log, speakUp, sealKey, store, signal } = options
  const holder = createHolder()
  const idle = (generation: string) => void (targetOf(generation)?.role === 'draining' && speakUp())
  const key = sealKey ?? randomBytes(sealKeyBytes)
  const targetOf = (generation: string) => holder.current?.targets.get(generation)
  const upstreams = withBreaker(createUpstreams({ current: targetOf, taken: (one) => probes.taken(one), key }))
  const exchanges = createExchanges(idle)
  const seen = () => {
    speakUp()
    news.stir()
    if (holder.current === undefined) return
    heeds.review(holder.current)
    inspection.soon(holder.current)
  }
  const probes = createProbes(upstreams, seen, signal)
  const heeds = createHeeds({ upstreams: asRoutine(upstreams), probes, current: () => holder.current, signal })
  const inspection = createInspection({ probes, log, changed: speakUp })
  const news = createNews(createViews(probes, () => holder.current))
  const gateway = {
    config,
    pseudonym: pseudonymOf(key),
    holder,
    exchanges,
    upstreams,
    probes,
    heeds,
    inspection,
    pool: createPool(upstreams),
    ...sessionsOf(options, { upstreams, holder, news, idle }),
    budgets: budgetsOf(options),
    endsSessions: store === undefined,
    news,
    seal: createSeal(key),
    counters: { requests: 0, refusals: 0, errors: 0 },
    log,
  }
  keepReviewing(gateway, signal)
  return gateway
}

type Sessioned = 'limits' | 'endings' | 'sessions' | 'hosting' | 'standIns'
type Around = Pick<Gateway, 'upstreams' | 'holder' | 'news'> & { readonly idle: (generation: string) => void }

/** All kinds of sessions, within the same bounds. */
function sessionsOf(
  { store, log, ...options }: GatewayOptions,
  { upstreams, holder, news, idle }: Around,
): Pick<Gateway, Sessioned> {
  const limits = { ...usualLimits, ...options.limits }
  const bounds = { store: lenient(store ?? openSessionStore(':memory:'), log), limits }
  const endings = createEndings()
  const leave = (session: PooledSession) => endings.add(() => endPooled(upstreams, session))
  return {
    limits,
    endings,
    sessions: createSessions({ ...bounds, idle, end: (one) => endAt({ upstreams, holder, endings }, one) }),
    hosting: createHosting({ news, ...bounds, end: leave }),
    standIns: createStandIns(leave),
  }
}

function keepReviewing(gateway: Gateway, signal: AbortSignal): void {
  const { holder, limits } = gateway
  holder.onReplace((snapshot) => review(gateway, snapshot))
  const clock = setInterval(() => holder.current && review(gateway, holder.current), limits.review)
  signal.addEventListener('abort', () => clearInterval(clock), { once: true })
}

function budgetsOf({ budgetStore, speakUp }: GatewayOptions): Budgets {
  return createBudgets(budgetStore ?? openBudgetStore(':memory:'), calmly(speakUp))
}

/** Says soon that something changed, once for all that changes until then. */
function calmly(say: () => void): () => void {
  let waits = false
  return () => {
    if (waits) return
    waits = true
    setTimeout(() => {
      waits = false
      say()
    }, budgetPause).unref()
  }
}

function review(gateway: Gateway, snapshot: Snapshot): void {
  const { exchanges, upstreams, sessions, pool, hosting, standIns, probes, heeds, news, inspection, budgets } = gateway
  const now = Date.now()
  budgets.review(snapshot)
  exchanges.review(snapshot)
  upstreams.review(snapshot)
  for (const session of sessions.review(snapshot, now)) void endAt(gateway, session)
  pool.review(snapshot, now)
  hosting.review(snapshot, now)
  standIns.review(snapshot, now)
  probes.review(snapshot)
  heeds.review(snapshot)
  news.stir()
  inspection.soon(snapshot)
}

async function endAt({ upstreams, holder, endings }: Means, { place }: Session): Promise<void> {
  const target = holder.current?.targets.get(place.generation)
  if (target === undefined) return
  await endings.add(() => endSession(upstreams, target, { 'mcp-session-id': place.upstreamId }))
}

type Means = Pick<Gateway, 'upstreams' | 'holder' | 'endings'>

/** So long may servers take to end what a proxy that leaves has there, ms. */
const endLimit = 5_000

/** Leaves nothing behind at the servers but the sessions that another proxy may go on with. */
export async function closeGateway(gateway: Gateway): Promise<void> {
  if (gateway.endsSessions) await Promise.all(gateway.sessions.clear().map((session) => endAt(gateway, session)))
  gateway.hosting.clear()
  gateway.news[Symbol.dispose]()
  // What has just been told to end comes to the endings first.
  await setImmediate()
  const { standIns, heeds, pool, endings } = gateway
  const ended = [standIns.clear(), ...[heeds, pool, endings].map((one) => one[Symbol.asyncDispose]())]
  await Promise.race([Promise.all(ended), sleep(endLimit, undefined, { ref: false })])
  await gateway.upstreams[Symbol.asyncDispose]()
}
