import type { Logger } from 'pino'
import type { PullStatus, Status } from '#manifests/status.ts'
import type { Config } from '../config/config.ts'
import type { Consent } from '../consent.ts'
import type { Machine } from '../generation.ts'
import type { Journal } from '../journal/journal.ts'
import type { Outbox } from '../outbox.ts'
import type { Rounds } from '../rounds.ts'
import type { PullRefs } from '../source/pull-refs.ts'
import { readSigners, type Signers } from '../trust/signers.ts'
import { type Consents, openConsents } from './consent.ts'
import { type Desk, forgeKinds } from './desk.ts'
import { openNotes } from './notes.ts'
import { type Footing, openPulls } from './pulls.ts'
import { contexts } from './statuses.ts'

/** All that concerns pull requests. Whatever becomes of it, no pass waits. */
export interface PullDesk extends AsyncDisposable {
  /** What others have consented to, as far as it is known. */
  consent(commits: readonly string[], approvals: number): Consent
  /** How the forge fares, with what hinders looking at pull requests. */
  forge(told: Status['forge']): Status['forge']
  /** What was told of an open pull request; undefined before the first look. */
  told(number: number): PullStatus | undefined
}

export interface PullDeskOptions {
  readonly desk: Pick<Desk, 'forge' | 'pulls' | 'post'>
  readonly refs: PullRefs
  readonly rounds: Pick<Rounds, 'ask' | 'bell' | 'news' | 'chronicle' | 'publisher' | 'seen' | 'base'>
  readonly journal: Journal
  readonly outbox: Outbox
  readonly machine: () => Promise<Machine>
  readonly log: Logger
  /** How often all are looked at without a hint, and how often comments are, ms. */
  readonly every?: number
  readonly checkEvery?: number
}

type Charge = Pick<Config, 'instance' | 'source' | 'inherited'>

/** Undefined where there is no forge: then nothing is asked of it either. */
export function openPullDesk({ instance, source, inherited }: Charge, options: PullDeskOptions): PullDesk | undefined {
  const { desk, rounds, journal, outbox, log } = options
  const { forge, pulls: hints, post } = desk
  if (forge === undefined) return undefined
  const ending = new AbortController()
  const of = `${instance}/${forge.repository}`
  const notes = openNotes({ forge, outbox, journal, of })
  const { every, checkEvery, refs } = options
  const often = { ...(every === undefined ? {} : { every }), ...(checkEvery === undefined ? {} : { checkEvery }) }
  const place = { branch: source.branch, path: source.path, inherited, of }
  const onChange = () => rounds.bell.ring()
  const footing = createFooting(options, source.signers, (head) => consents.standing(head))
  const isTold = (sha: string) => outbox.lastSent(forgeKinds.status, `${sha} ${contexts.validate}`) !== undefined
  const consents = openConsents({ forge, branch: source.branch, hints, log, onChange: () => rounds.ask() })
  const pulls = openPulls({ forge, refs, notes, post, isTold, footing, hints, log, onChange, ...place, ...often })
  const listening = follow(rounds, () => pulls.look(), ending.signal)
  return {
    consent: (commits, approvals) => consents.consent(commits, approvals),
    forge(told) {
      const trouble = pulls.trouble()
      return trouble === undefined || told?.ok === false ? told : { ok: false, reason: `pull requests: ${trouble}` }
    },
    told: (number) => pulls.told(number),
    async [Symbol.asyncDispose]() {
      ending.abort(new Error('the controller stops'))
      await listening
      await pulls[Symbol.asyncDispose]()
      await consents[Symbol.asyncDispose]()
    },
  }
}

/** The branch has moved, or what runs is another: what pull requests would do may be something else now. */
async function follow({ news }: PullDeskOptions['rounds'], look: () => void, signal: AbortSignal): Promise<void> {
  let before = ''
  for await (const status of news.listen(60_000, signal)) {
    const now = status === undefined ? before : `${status.commit} ${status.phase}`
    if (now !== before) look()
    before = now
  }
}

function createFooting(
  { rounds, journal, machine }: PullDeskOptions,
  signers: string | undefined,
  standing: Consents['standing'],
): () => Promise<Footing> {
  const tools = new Map<string, readonly string[]>()
  return async () => {
    learnTools(tools, rounds)
    const tip = rounds.chronicle.current?.commit
    const accepted = journal.accepted()
    return {
      ...{ tip, accepted, base: rounds.base, approved: journal.approvals() },
      signers: signers === undefined ? undefined : { path: signers, digest: digestOf(await readSigners(signers)) },
      approvals: rounds.seen?.aim.settings.governance?.approvals,
      consent: tip === undefined || tip === accepted ? { given: true } : standing(tip),
      tools: new Map([...tools].sort()),
      secrets: new Set((await machine()).secrets.keys()),
    }
  }
}

function digestOf(signers: Signers): string {
  return `${signers.default.digest} ${signers.permissions.digest}`
}

/** A server that does not answer just now has the tools that it had. */
function learnTools(tools: Map<string, readonly string[]>, { publisher }: PullDeskOptions['rounds']): void {
  const servers = publisher.table?.servers ?? {}
  for (const name of tools.keys()) if (servers[name] === undefined) tools.delete(name)
  for (const { report } of publisher.heard.values())
    for (const [name, { generation }] of Object.entries(servers)) {
      const listed = report.generations[generation]?.probe?.tools
      if (listed !== undefined) tools.set(name, [...listed].sort())
    }
}
