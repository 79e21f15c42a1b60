import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { CommitStatus, Status } from '#manifests/status.ts'
import type { Table } from '#manifests/table.ts'
import { compile } from '../../controller/compile/compile.ts'
import { type Journal, openJournal } from '../../controller/journal/journal.ts'
import { type Charge, Rounds } from '../../controller/rounds.ts'
import { openSource, type SourceOptions } from '../../controller/source/source.ts'
import { watchSource } from '../../controller/source/watched-source.ts'
import { Steward } from '../../controller/steward.ts'
import { openBreakGlass } from '../../controller/trust/break-glass.ts'
import { machine } from './make.ts'
import { createMemoryHost, type MemoryHost } from './memory-host.ts'
import { type MemoryProxy, runProxy } from './memory-proxy.ts'
import { type Change, createRepository, type Repository } from './repository.ts'
import { until } from './until.ts'

/** A controller's core on a real repository, a real mirror and a real journal; only the host and the proxy are in memory. */
export interface Core extends AsyncDisposable {
  readonly repository: Repository
  /** The state folder. */
  readonly state: string
  readonly host: MemoryHost
  /** Names and values of the secrets file. */
  readonly secrets: Map<string, string>
  readonly journal: () => Journal
  readonly rounds: () => Rounds
  readonly steward: () => Steward
  readonly proxy: () => MemoryProxy
  readonly table: () => Table
  /** Commits, pushes and asks for a pass. */
  publish(changes: Readonly<Record<string, Change>>): Promise<string>
  /** Waits until a commit is in its final phase, and in this one if it is named. */
  becomes(commit: string, phase?: CommitStatus['phase']): Promise<CommitStatus>
  /** Waits until one more pass has ended. */
  passed(): Promise<void>
  server(name: string): Promise<Status['servers'][number] | undefined>
  /** Waits until nothing is under way any more. */
  rests(): Promise<void>
  /** Another controller on the same state and host. `end` only ends this one. */
  restart(): Promise<void>
  end(): Promise<void>
}

const limit = AbortSignal.timeout(300_000)

/** Files of the machine: what `GATEWAY_ALLOWED_SIGNERS` and `GATEWAY_BREAK_GLASS` name. */
interface Files {
  readonly signers?: string
  readonly breakGlass?: string
}

/** What a core is opened with beside its repository. */
export interface CoreOptions extends Pick<Charge, 'consent' | 'signed'> {
  readonly files?: Files
  readonly host?: MemoryHost
  /** The way to the repository, where it is not read as a folder. */
  readonly way?: (bare: string) => Promise<Partial<SourceOptions>>
}

export async function openCore({
  host = createMemoryHost(),
  files = {},
  way = async () => ({}),
  ...guides
}: CoreOptions = {}): Promise<Core> {
  const state = await mkdtemp(join(tmpdir(), 'core-'))
  const repository = await createRepository()
  const secrets = new Map<string, string>()
  const address = await way(repository.bare)
  const open = () => openController({ state, repository, host, secrets, guides, files, way: address })
  let now = await open()
  const core: Core = {
    repository,
    state,
    host,
    secrets,
    journal: () => now.journal,
    rounds: () => now.rounds,
    steward: () => now.steward,
    proxy: () => now.proxy,
    table: () => {
      const { table } = now.rounds.publisher
      if (table === undefined) throw new Error('no table was published')
      return table
    },
    async publish(changes) {
      const commit = await repository.publish(changes)
      now.rounds.ask()
      return commit
    },
    becomes: (commit, phase) =>
      until(`${commit} becomes ${phase ?? 'final'}`, async () => {
        const status = await now.steward.commit(commit, phase === undefined ? 10_000 : 20, limit)
        return status !== undefined && (phase === undefined || status.phase === phase) && status
      }),
    passed: () => now.rounds.passed(AbortSignal.timeout(15_000)),
    server: async (name) => (await now.steward.status('operator')).servers.find((one) => one.name === name),
    async rests() {
      await until('no lane is at work', async () => {
        await core.passed()
        return now.rounds.means?.lanes.runs.size === 0
      })
    },
    end: () => now.end(),
    async restart() {
      await now.end()
      now = await open()
    },
    async [Symbol.asyncDispose]() {
      host.fault = () => {}
      await now.end()
      await repository[Symbol.asyncDispose]()
      await rm(state, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  return core
}

interface Setting extends Pick<Core, 'repository' | 'state' | 'host' | 'secrets'> {
  readonly guides: Pick<Charge, 'consent' | 'signed'>
  readonly files: Files
  readonly way: Partial<SourceOptions>
}

async function openController({ state, repository, host, secrets, guides, files, way }: Setting) {
  const { signers, breakGlass } = files
  const ending = new AbortController()
  const log = pino({ level: 'silent' })
  const journal = openJournal(state)
  const glass = breakGlass === undefined ? undefined : openBreakGlass(breakGlass, state)
  const options = { repo: repository.bare, branch: 'main', path: '', state, ...(signers && { signers }), ...way }
  const source = watchSource(await openSource({ ...options, inherited: { PATH: process.env.PATH ?? '' } }), log)
  const grantsFile = 'repository manifests/permissions.yaml'
  const rounds = new Rounds({
    ...guides,
    source,
    compile,
    ...(signers && { signed: true }),
    machine: async () => ({ ...machine, secrets, ...(glass && { glass: await glass() }) }),
    journal,
    log,
    grantsFile,
  })
  const office = { instance: 'gateway', version: '0', repository: 'repository', branch: 'main', journal }
  const steward = new Steward({ ...office, sourceState: source.state }, rounds)
  const proxy = runProxy(rounds.publisher, ending.signal)
  rounds.take(host)
  let ended = false
  const end = async () => {
    if (ended) return
    ended = true
    await rounds[Symbol.asyncDispose]()
    ending.abort()
    journal[Symbol.dispose]()
  }
  return { journal, rounds, steward, proxy, end }
}

const digest = (letter: string) => `sha256:${letter.repeat(64)}`

/** A manifest of a server that runs an image; another letter is another image. */
export function imageServer(letter: string, more = ''): string {
  return `description: a server\nimage: registry.example/server@${digest(letter)}\nstart: 5s\ndrain: 1s\n${more}`
}

/** Agents by name, each with what it is granted; all have hashes of their own. */
export function permissions(agents: Readonly<Record<string, readonly string[]>>): string {
  const lines = Object.entries(agents).map(([name, servers]) => {
    const hash = createHash('sha256').update(`token of ${name}`).digest('hex')
    return `  ${name}:\n    token_hash: "sha256:${hash}"\n    servers: ${JSON.stringify(servers)}\n`
  })
  return `agents:\n${lines.join('')}`
}
