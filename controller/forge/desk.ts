import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { z } from 'zod'
import type { CommitStatus, Status } from '#manifests/status.ts'
import type { Config } from '../config/config.ts'
import type { Reception } from '../face/webhook.ts'
import type { Journal } from '../journal/journal.ts'
import { type Outbox, Unwelcome } from '../outbox.ts'
import { isFinal } from '../outcome.ts'
import type { Rounds } from '../rounds.ts'
import { createWire, type Wire } from '../wire.ts'
import { type Forge, openForge } from './client.ts'
import { ForgeRefusal } from './fault.ts'
import { contexts, type Said, statusesOf } from './statuses.ts'
import { type Vigil, watchWebhook } from './vigil.ts'

/** All that goes to the forge and comes from it. Whatever becomes of it, no pass waits. */
export interface Desk extends AsyncDisposable {
  /** Undefined without `GATEWAY_FORGE_URL`: then the forge is told nothing. */
  readonly forge: Forge | undefined
  /** Undefined without `GATEWAY_WEBHOOK_SECRET`. */
  readonly reception: Reception | undefined
  /** Numbers of pull requests that something may have happened to. */
  readonly pulls: Wire<number>
  /** Has the forge show something of a commit, whenever it can; the same again is not shown again. */
  post(sha: string, said: Said): void
  state(): Pick<Status, 'forge' | 'webhook'>
}

export interface DeskOptions {
  readonly journal: Journal
  readonly outbox: Outbox
  readonly rounds: Pick<Rounds, 'bell' | 'news' | 'meters'>
  readonly log: Logger
  /** How long after its commit a delivery may still come, ms. */
  readonly grace?: number
}

/** What letters to the forge are called in the outbox; status tells of all of them. */
export const forgeKinds = { status: 'forge-status', plan: 'forge-plan' } as const

type Charge = Pick<Config, 'forge' | 'source' | 'status' | 'webhookSecrets' | 'inherited'>

/** A delivery takes a second, and five at most; so long after its commit it may still come, ms. */
const patience = 15_000
/** ms between what is told of a commit on its way. */
const rest = 200

export function openDesk(config: Charge, options: DeskOptions): Desk {
  const { journal, outbox, rounds, log } = options
  const ending = new AbortController()
  const forge = forgeOf(config)
  const vigil = vigilOf(config, options)
  const pulls = createWire<number>()
  const page = config.status.url
  const post = (sha: string, said: Said) => {
    const { context, ...rest } = said
    if (forge !== undefined) outbox.send(forgeKinds.status, `${sha} ${context}`, JSON.stringify(rest))
  }
  if (forge !== undefined) employ(forge, outbox, page)
  const tell = (status: CommitStatus) => {
    try {
      for (const said of newsOf(status, outbox)) post(status.commit, said)
    } catch (error) {
      log.error({ err: error, commit: status.commit }, 'not told: the outbox cannot be read')
    }
  }
  const listening = listen(rounds.news, ending.signal, (status) => {
    if (status.phase !== 'superseded') vigil?.found(status.commit)
    tell(status)
  })
  for (const status of untold(journal, outbox)) tell(status)
  const [last] = journal.history(1)
  if (last !== undefined) vigil?.found(last.commit)
  return {
    forge,
    reception: receptionOf(config, { vigil, pulls, options }),
    pulls,
    post,
    state: () => ({
      ...(forge === undefined ? {} : { forge: forgeState(outbox) }),
      ...(vigil === undefined ? {} : { webhook: vigil.state() }),
    }),
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('the controller stops'))
      vigil?.[Symbol.dispose]()
      await listening
      await forge?.[Symbol.asyncDispose]()
    },
  }
}

function forgeOf({ forge, source, inherited }: Charge): Forge | undefined {
  if (forge === undefined) return undefined
  return openForge({ ...forge, inherited, ...(source.caFile === undefined ? {} : { caFile: source.caFile }) })
}

function vigilOf({ webhookSecrets, status }: Charge, { rounds, grace = patience }: DeskOptions): Vigil | undefined {
  if (webhookSecrets.length === 0) return undefined
  return watchWebhook({
    address: `${status.url ?? 'GATEWAY_STATUS_URL'}/webhook/forgejo`,
    grace,
    onMissed: () => rounds.meters.webhook('missed'),
    onChange: () => rounds.bell.ring(),
  })
}

const Shown = z.object({
  state: z.enum(['pending', 'success', 'warning', 'failure', 'error']),
  description: z.string(),
  page: z.string().optional(),
})

/** A refusal is somebody's to put right; all else may go well the next time. */
function employ(forge: Forge, outbox: Outbox, page: string | undefined): void {
  outbox.employ({
    kind: forgeKinds.status,
    async carry(key, body, signal) {
      const [sha = '', context = ''] = key.split(/ (.*)/s)
      const { page: below = `/commits/${sha}`, ...shown } = Shown.parse(JSON.parse(body))
      const url = page === undefined ? {} : { url: `${page}${below}` }
      await forge.postStatus(sha, { ...shown, context, ...url }, signal).catch(unwelcome)
    },
  })
}

/** For couriers to the forge: throws what the outbox understands. */
export function unwelcome(error: unknown): never {
  throw error instanceof ForgeRefusal ? new Unwelcome(error.message, { cause: error }) : error
}

/** Of a commit that was overtaken, what is still shown as on its way is mended, and nothing else is begun. */
function newsOf(status: CommitStatus, outbox: Outbox): readonly Said[] {
  const all = statusesOf(status)
  if (status.phase !== 'superseded') return all
  return all.filter(
    ({ context }) =>
      context === contexts.deploy || outbox.lastSent(forgeKinds.status, `${status.commit} ${context}`) !== undefined,
  )
}

/** The newest commit, and those before it of which the forge was told: what became of them while nobody could tell it. */
function untold(journal: Journal, outbox: Outbox): readonly CommitStatus[] {
  const known = ({ commit }: CommitStatus) =>
    outbox.lastSent(forgeKinds.status, `${commit} ${contexts.deploy}`) !== undefined
  return journal.history(20).filter((status, index) => index === 0 || known(status))
}

function forgeState(outbox: Outbox): NonNullable<Status['forge']> {
  const all = Object.values(forgeKinds).map((kind) => outbox.delivery(kind))
  const waiting = all.reduce((sum, delivery) => sum + delivery.waiting, 0)
  const trouble = all.find((delivery) => delivery.trouble !== undefined)?.trouble
  if (trouble !== undefined) return { ok: false, reason: `${waiting} not told: ${trouble}` }
  return { ok: true, reason: waiting === 0 ? 'is told everything' : `${waiting} on their way` }
}

/** Of what changes many times a second, only how it ends is worth telling. */
async function listen(news: Wire<CommitStatus>, signal: AbortSignal, tell: (status: CommitStatus) => void) {
  for await (const status of news.listen(60_000, signal)) {
    if (status === undefined) continue
    tell(status)
    if (!isFinal(status.phase)) await pause(rest, undefined, { signal }).catch(() => undefined)
  }
}

interface Ears {
  readonly vigil: Vigil | undefined
  readonly pulls: Wire<number>
  readonly options: DeskOptions
}

function receptionOf({ webhookSecrets, source }: Charge, { vigil, pulls, options }: Ears): Reception | undefined {
  if (vigil === undefined) return undefined
  const { journal, rounds } = options
  return {
    secrets: webhookSecrets,
    branch: source.branch,
    repeated: (id) => journal.repeated(id),
    count: (outcome) => rounds.meters.webhook(outcome),
    hear(hint) {
      if (hint.about === 'branch') vigil.heard(hint.commit)
      if (hint.about === 'pull') pulls.say(`${hint.number}`, hint.number)
    },
  }
}
