import { pino } from 'pino'
import { type Desk, openDesk } from '../../controller/forge/desk.ts'
import { type Outbox, openOutbox } from '../../controller/outbox.ts'
import { type Core, openCore } from './core.ts'
import { type FaultProxy, openFaultProxy } from './fault-proxy.ts'
import { type FixtureForge, openFixtureForge } from './forge.ts'
import { openStage, type Stage } from './forge-stage.ts'
import type { StatusRow } from './forge-state.ts'
import type { Change } from './repository.ts'

/** A controller's core that tells a forge, over a way that can be disturbed. */
export interface ToldCore extends AsyncDisposable {
  readonly core: Core
  readonly site: FixtureForge
  readonly stage: Stage
  readonly way: FaultProxy
  readonly desk: () => Desk
  readonly outbox: () => Outbox
  /** Commits, has the forge know the commit, and pushes it to where the controller looks. */
  publish(changes: Readonly<Record<string, Change>>): Promise<string>
  /** All that was posted for a commit, in order, as `context state`. */
  rows(commit: string): readonly string[]
  /** The statuses in force. */
  shown(commit: string): readonly StatusRow[]
  restart(): Promise<void>
}

export const page = 'https://gateway.example'

export async function openToldCore(
  options: { readonly token?: string; readonly grace?: number } = {},
): Promise<ToldCore> {
  const core = await openCore()
  const site = await openFixtureForge()
  const stage = await openStage(site)
  const way = await openFaultProxy(site.url)
  const log = pino({ level: 'silent' })
  const open = () => {
    const outbox = openOutbox(core.journal(), log)
    const desk = openDesk(
      {
        forge: { url: way.url, token: options.token ?? stage.bot.token, repository: stage.repository },
        source: { repo: stage.url, branch: 'main', path: '', state: '', inherited: {} },
        status: { listen: { host: '127.0.0.1', port: 0 }, url: page },
        webhookSecrets: ['a secret of this test'],
        inherited: {},
      },
      { journal: core.journal(), outbox, rounds: core.rounds(), log, ...options },
    )
    return { outbox, desk }
  }
  let now = open()
  const end = async () => {
    await now.outbox[Symbol.asyncDispose]()
    await now.desk[Symbol.asyncDispose]()
  }
  const rowsOf = (commit: string) => site.repo(stage.repository).statuses.filter(({ sha }) => sha === commit)
  return {
    core,
    site,
    stage,
    way,
    desk: () => now.desk,
    outbox: () => now.outbox,
    async publish(changes) {
      const commit = await core.repository.commit(changes)
      await core.repository.git('push', '--quiet', '--force', stage.alice.remote, 'HEAD:refs/heads/main')
      await core.repository.push()
      core.rounds().ask()
      return commit
    },
    rows: (commit) => rowsOf(commit).map(({ context, state }) => `${context} ${state}`),
    shown: (commit) => [...new Map(rowsOf(commit).map((row) => [row.context, row])).values()],
    async restart() {
      await end()
      await core.restart()
      now = open()
    },
    async [Symbol.asyncDispose]() {
      await end()
      await way[Symbol.asyncDispose]()
      await stage[Symbol.asyncDispose]()
      await site[Symbol.asyncDispose]()
      await core[Symbol.asyncDispose]()
    },
  }
}
