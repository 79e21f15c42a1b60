import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { schedule } from 'node-cron'
import type { Logger } from 'pino'
import { createBackoff } from './backoff.ts'
import { compile } from './compile/compile.ts'
import type { Config } from './config/config.ts'
import type { Controller } from './controller.ts'
import { openAdmin } from './face/admin.ts'
import { createFace, type FaceOptions } from './face/http.ts'
import { type Desk, openDesk } from './forge/desk.ts'
import { openPullDesk, type PullDesk } from './forge/pull-desk.ts'
import type { Machine } from './generation.ts'
import type { Guides } from './guides.ts'
import { type Host, HostDown } from './host.ts'
import { openJournal } from './journal/journal.ts'
import { acquireLease } from './lease.ts'
import { fileChanges, openMachine } from './machine.ts'
import { type CrierOptions, openCrier } from './notices/crier.ts'
import { openOutbox } from './outbox.ts'
import { Rounds } from './rounds.ts'
import { openSource, type Source } from './source/source.ts'
import { watchSource } from './source/watched-source.ts'
import { makeState } from './state-folder.ts'
import { Steward } from './steward.ts'
import { openTableSocket } from './table-socket.ts'

export interface RunOptions {
  readonly version: string
  readonly log: Logger
  /** Ends the controller; what it runs goes on. */
  readonly signal: AbortSignal
  /** Opens the host that the configuration names; throws `HostDown` while it does not answer. */
  readonly openHost: (signal: AbortSignal) => Promise<Host>
  /** Called once people can reach the controller. */
  readonly onListening?: (controller: Controller) => void
}

/**
 * Runs a controller until the signal ends it. Throws one clear line for what an operator must put right: an address in use, a
 * state folder that cannot be written, an instance of another state.
 */
export async function runController(config: Config, options: RunOptions): Promise<void> {
  const { log, signal, version } = options
  const { state, instance } = config
  await using end = new AsyncDisposableStack()
  await makeState(state)
  end.use(
    await acquireLease(state, () => log.warn({ state }, 'waiting for the other controller of this state'), signal),
  )
  const journal = end.use(openJournal(state))
  const source = await openSource(config.source)
  const watched = watchSource(source, log)
  const machine = await openMachine(config)
  const pulls: { desk?: PullDesk | undefined } = {}
  const means = { source: watched, compile, machine, journal, log, ...rulesOf(config, source) }
  const rounds = end.use(new Rounds({ ...means, ...(config.forge && { consent: consentBy(pulls) }) }))
  const outbox = end.use(openOutbox(journal, log, () => rounds.bell.ring()))
  const desk = end.use(openDesk(config, { journal, outbox, rounds, log }))
  pulls.desk = openPullDesk(config, { desk, refs: source.pulls, rounds, journal, outbox, machine, log })
  if (pulls.desk !== undefined) end.use(pulls.desk)
  const forgeState = () => ({ ...desk.state(), ...forgeOf(pulls, desk) })
  const office = { instance, version, repository: source.label, branch: config.source.branch, journal }
  const pull = (number: number) => pulls.desk?.told(number)
  const steward = new Steward({ ...office, sourceState: watched.state, forgeState, pull }, rounds)
  end.use(cryFor(steward, { ...{ rounds, journal, outbox, log, machine }, page: config.status.url }))
  end.use(outbox) // again, so that it ends before the desk's connections do
  end.use(closing(await openAdmin(steward, state, log)))
  end.use(closing(await listen(config, steward, { log, webhook: desk.reception })))
  options.onListening?.(steward)
  const host = end.use(await untilHost(options, rounds))
  // Only now, for until the host is ours the proxies that look for this socket may be another controller's.
  end.use(await openTableSocket(join(state, 'run'), rounds.publisher))
  end.use(rounds) // again, so that what it runs on the host ends before that does
  rounds.take(host)
  const poll = schedule(config.poll, () => rounds.poll())
  end.defer(() => poll.destroy())
  await Promise.all([
    onEach(host.changes(signal), () => rounds.moved()),
    onEach(fileChanges(watchedFiles(config), signal), () => rounds.ask()),
  ])
}

/** Rounds are made first, and who asks the forge asks them for passes. */
function consentBy(pulls: { readonly desk?: PullDesk | undefined }): NonNullable<Guides['consent']> {
  return (commits, approvals) =>
    pulls.desk?.consent(commits, approvals) ?? { given: false, because: 'the forge was not asked yet' }
}

function forgeOf({ desk: pulls }: { readonly desk?: PullDesk | undefined }, desk: Desk): ReturnType<Desk['state']> {
  const forge = pulls?.forge(desk.state().forge)
  return forge === undefined ? {} : { forge }
}

interface CryMeans extends Pick<CrierOptions, 'journal' | 'outbox' | 'log'> {
  readonly rounds: Rounds
  readonly machine: () => Promise<Machine>
  readonly page: string | undefined
}

function cryFor(steward: Steward, { rounds, machine, page, ...means }: CryMeans): AsyncDisposable {
  return openCrier({
    ...means,
    bell: rounds.bell,
    page: page ?? '',
    status: () => steward.status('public'),
    notifications: () => rounds.seen?.aim.settings.notifications,
    secrets: async () => (await machine()).secrets,
  })
}

/** Of the machine, beside what the repository says: a change of one is a reason to look. */
function watchedFiles({ secrets, breakGlass, source: { signers } }: Config): readonly string[] {
  const ofSigners = signers === undefined ? [] : [signers, join(signers, 'default'), join(signers, 'permissions')]
  return [secrets, ...(breakGlass === undefined ? [] : [breakGlass]), ...ofSigners]
}

function rulesOf({ source }: Config, { label }: Source): { readonly grantsFile: string; readonly signed: boolean } {
  const grantsFile = `${label} ${join(source.path, 'manifests/permissions.yaml')}`
  return { grantsFile, signed: source.signers !== undefined }
}

async function listen(config: Config, controller: Controller, options: Pick<FaceOptions, 'log' | 'webhook'>) {
  const { operatorToken, listen: address } = config.status
  const face = createFace(controller, {
    ...options,
    ...(operatorToken === undefined ? {} : { operatorToken }),
  })
  await face.listen(address).catch((cause: unknown) => {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    const where = `${address.host}:${address.port}`
    if (!taken) throw cause
    throw new Error(`GATEWAY_LISTEN: ${where} is in use by another process; stop that, or choose another port`, {
      cause,
    })
  })
  return face
}

/** The host may not answer yet: then people are told, and it is asked again for as long as it takes. */
async function untilHost({ openHost, log, signal }: RunOptions, rounds: Rounds): Promise<Host> {
  const backoff = createBackoff(1_000, 30_000)
  let told: string | undefined
  for (;;) {
    try {
      return await openHost(signal)
    } catch (error) {
      if (!(error instanceof HostDown)) throw error
      const reason = error.message
      rounds.await(reason)
      if (reason !== told) log.warn({ reason }, 'the host does not answer')
      told = reason
      await pause(backoff.next(), undefined, { signal })
    }
  }
}

async function onEach(changes: AsyncIterable<void>, act: () => void): Promise<void> {
  for await (const _ of changes) act()
}

function closing(app: { close(): Promise<unknown> }): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await app.close()
    },
  }
}
