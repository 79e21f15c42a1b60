import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { z } from 'zod'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { openNotes } from '../../controller/forge/notes.ts'
import { type Footing, openPulls, type Pulls } from '../../controller/forge/pulls.ts'
import { openJournal } from '../../controller/journal/journal.ts'
import { type Outbox, openOutbox } from '../../controller/outbox.ts'
import { openSource, type Source } from '../../controller/source/source.ts'
import { createWire } from '../../controller/wire.ts'
import type { FixtureForge } from './forge.ts'
import { openStage, type Person, type Stage } from './forge-stage.ts'
import type { Comment, StatusRow } from './forge-state.ts'
import type { Change } from './repository.ts'
import { until } from './until.ts'

/** A controller's inspection of pull requests, on a real mirror of the forge's repository. */
export interface Inspection extends AsyncDisposable {
  readonly state: string
  readonly pulls: Pulls
  /** What marks its comments. */
  readonly of: string
}

/** Where pull requests are handed in and looked at: a stage of the forge, and as many inspections as are asked for. */
export interface Counter extends AsyncDisposable {
  readonly stage: Stage
  /** What inspections hold pull requests against; a changed one counts from the next look on. */
  footing: Omit<Footing, 'tip' | 'accepted'>
  /** The branch's head, and the last commit of which nothing was held back. */
  readonly main: string
  accepted: string
  inspect(instance?: string, token?: string, way?: string): Promise<Inspection>
  /** Commits on the branch, which is accepted whole and seen by every inspection. */
  moveMain(changes: Readonly<Record<string, Change>>): Promise<string>
  /** Pushes a branch of its own from what `main` is, and asks for the merge. */
  propose(
    changes: Readonly<Record<string, Change>>,
    as?: Person,
  ): Promise<{ readonly branch: string; readonly head: string; readonly number: number }>
  statusOf(sha: string): StatusRow | undefined
  judged(sha: string): Promise<StatusRow>
  commentsOf(number: number): readonly Comment[]
  commentWith(number: number, text: string): Promise<Comment>
}

const limit = () => AbortSignal.timeout(60_000)
const log = pino({ level: 'silent' })
const inherited = { PATH: process.env.PATH ?? '' }
const given = { given: true } as const
const Numbered = z.object({ number: z.number() })

export async function openCounter(site: FixtureForge): Promise<Counter> {
  const stage = await openStage(site)
  const open = new Set<Inspection & { readonly source: Source }>()
  let made = 0
  const seen = { main: '', tip: '' }
  const look = async () => {
    for (const { source } of open) seen.tip = (await source.fetch(limit())).commit
  }
  const rows = () => site.repo(stage.repository)
  const nobody = { base: undefined, approved: [], signers: undefined, approvals: undefined, consent: given }
  const counter: Counter = {
    stage,
    footing: { ...nobody, tools: new Map(), secrets: new Set() },
    get main() {
      return seen.main
    },
    accepted: '',
    async inspect(instance = 'gateway', token = stage.bot.token, url = site.url) {
      const footing = async () => ({ ...counter.footing, accepted: counter.accepted, tip: seen.tip })
      const of = `${instance}/${stage.repository}`
      const inspection = await openInspection({ url, stage, of, token, footing })
      open.add(inspection)
      await look()
      inspection.pulls.look()
      return {
        ...inspection,
        async [Symbol.asyncDispose]() {
          open.delete(inspection)
          await inspection[Symbol.asyncDispose]()
        },
      }
    },
    async moveMain(changes) {
      if (seen.main !== '') await stage.work.git('checkout', '--quiet', '-B', 'main', seen.main)
      seen.main = counter.accepted = await stage.work.commit(changes)
      await stage.push('main')
      await look()
      return seen.main
    },
    async propose(changes, as = stage.alice) {
      const branch = `change-${++made}`
      await stage.work.git('checkout', '--quiet', '-B', branch, seen.main)
      const head = await stage.work.commit(changes)
      await stage.push(branch)
      const { body } = await as.ask('POST', `${stage.at}/pulls`, { title: 'Change', head: branch, base: 'main' }, 201)
      return { branch, head, number: Numbered.parse(body).number }
    },
    statusOf: (sha) => rows().statuses.findLast((row) => row.sha === sha && row.context === 'gateway/validate'),
    judged: (sha) =>
      until(
        `${sha} is judged`,
        () => {
          const row = counter.statusOf(sha)
          return row !== undefined && row.state !== 'pending' && row
        },
        30_000,
      ),
    commentsOf: (number) => rows().comments.filter((comment) => comment.number === number),
    commentWith: (number, text) =>
      until(`a comment says ${text}`, () => counter.commentsOf(number).find(({ body }) => body.includes(text)), 30_000),
    async [Symbol.asyncDispose]() {
      for (const one of open) await one[Symbol.asyncDispose]()
      await stage[Symbol.asyncDispose]()
    },
  }
  return counter
}

interface Post {
  /** Where the forge is reached; git reaches it by itself. */
  readonly url: string
  readonly stage: Stage
  readonly of: string
  readonly token: string
  readonly footing: () => Promise<Footing>
}

async function openInspection({ url, stage, of, token, footing }: Post): Promise<Inspection & { source: Source }> {
  const state = await mkdtemp(join(tmpdir(), 'pulls-'))
  const journal = openJournal(state)
  const outbox: Outbox = openOutbox(journal, log)
  const forge: Forge = openForge({ url, token, repository: stage.repository, inherited: {} })
  const source = await openSource({
    repo: stage.url,
    branch: 'main',
    path: '',
    state,
    token: stage.bot.token,
    inherited,
  })
  const notes = openNotes({ forge, outbox, journal, of })
  outbox.employ({
    kind: 'status',
    async carry(key, body, signal) {
      await forge.postStatus(key.split(' ')[0] ?? '', JSON.parse(body), signal)
    },
  })
  const pulls = openPulls({
    ...{ forge, notes, hints: createWire(), log, inherited, of, branch: 'main', path: '', every: 100, checkEvery: 200 },
    refs: source.pulls,
    post: (sha, said) => outbox.send('status', `${sha} ${said.context}`, JSON.stringify(said)),
    isTold: (sha) => outbox.lastSent('status', `${sha} gateway/validate`) !== undefined,
    footing,
    onChange: () => {},
  })
  return {
    ...{ state, pulls, of, source },
    async [Symbol.asyncDispose]() {
      await pulls[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await forge[Symbol.asyncDispose]()
      journal[Symbol.dispose]()
      await rm(state, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
