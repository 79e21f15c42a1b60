import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { withBreaker } from './breaker.ts'
import { type Budgets, createBudgets } from './budget.ts'
import { type BudgetStore, openBudgetStore } from './budget-store.ts'
import type { Config } from './config.ts'
import { createExchanges, type Exchanges } from './exchange.ts'
import { createHeeds, type Heeds } from './heed.ts'
import { createHolder, type Holder } from './holder.ts'
import { createHosting, type Hosting } from './hosting.ts'
import { endSession } from './inquire.ts'
import { createInspection, type Inspection } from './inspection.ts'
import { createNews, type News } from './news.ts'
import { createPool, endPooled, type Pool } from './pool.ts'
import { createProbes, type Probes } from './probe.ts'
import { createSeal, type Seal, sealKeyBytes } from './seal.ts'
import { createSessions, type Session, type Sessions } from './session.ts'
import { openSessionStore, type SessionStore } from './session-store.ts'
import { createStandIns, type StandIns } from './stand-in.ts'
import type { Snapshot } from './table.ts'
import { createUpstreams, type Upstreams } from './upstream.ts'
import { createViews } from './view.ts'

/** What a proxy is made of. */
export interface Gateway {
  readonly config: Config
  readonly holder: Holder
  readonly exchanges: Exchanges
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

const reviewPause = 60_000
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
  readonly signal: AbortSignal
}

/** Joins the parts, and makes each look at every new table, and at the clock once a minute. */
export function createGateway(options: GatewayOptions): Gateway {
  const { config, log, speakUp, sealKey, store, signal } = options
  const holder = createHolder()
  const idle = (generation: string) => {
    if (targetOf(generation)?.role === 'draining') speakUp()
  }
  const key = sealKey ?? randomBytes(sealKeyBytes)
  const targetOf = (generation: string) => holder.current?.targets.get(generation)
  const upstreams = withBreaker(createUpstreams({ current: targetOf, taken: (one) => probes.taken(one), key }))
  const exchanges = createExchanges(idle)
  const keptSessions = store ?? openSessionStore(':memory:')
  const sessions = createSessions(keptSessions, idle)
  const seen = () => {
    speakUp()
    if (holder.current !== undefined) heeds.review(holder.current)
    news.stir()
    if (holder.current !== undefined) inspection.soon(holder.current)
  }
  const probes = createProbes(upstreams, seen, signal)
  const heeds = createHeeds({ upstreams, probes, changed: () => news.stir(), signal })
  const inspection = createInspection({ probes, log, changed: speakUp })
  const pool = createPool(upstreams)
  const news = createNews(createViews({ probes, heeds }, () => holder.current))
  const gateway = {
    config,
    holder,
    exchanges,
    sessions,
    upstreams,
    probes,
    heeds,
    inspection,
    pool,
    hosting: createHosting({ news, store: keptSessions }, (session) => endPooled(upstreams, session)),
    standIns: createStandIns((session) => endPooled(upstreams, session)),
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

function keepReviewing(gateway: Gateway, signal: AbortSignal): void {
  const { holder } = gateway
  holder.onReplace((snapshot) => review(gateway, snapshot))
  const clock = setInterval(() => holder.current && review(gateway, holder.current), reviewPause)
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
  for (const session of sessions.review(snapshot, now)) void end(gateway, snapshot, session)
  pool.review(snapshot, now)
  hosting.review(snapshot, now)
  standIns.review(snapshot, now)
  probes.review(snapshot)
  heeds.review(snapshot)
  news.stir()
  inspection.soon(snapshot)
}

async function end({ upstreams }: Gateway, snapshot: Snapshot, { place }: Session): Promise<void> {
  const target = snapshot.targets.get(place.generation)
  if (target !== undefined) await endSession(upstreams, target, { 'mcp-session-id': place.upstreamId })
}

/** Leaves nothing behind at the servers but the sessions that another proxy may go on with. */
export async function closeGateway(gateway: Gateway): Promise<void> {
  const snapshot = gateway.holder.current
  if (snapshot !== undefined && gateway.endsSessions)
    await Promise.all(gateway.sessions.clear().map((session) => end(gateway, snapshot, session)))
  gateway.hosting.clear()
  await gateway.standIns.clear()
  gateway.news[Symbol.dispose]()
  await gateway.pool[Symbol.asyncDispose]()
  await gateway.upstreams[Symbol.asyncDispose]()
}
