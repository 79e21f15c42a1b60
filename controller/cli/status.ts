import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type CommitStatus, ServerStatus, Status } from '#manifests/status.ts'
import { describeBudgets } from '../budget.ts'
import { describeClash } from '../clash.ts'
import { concernsOf } from '../concerns.ts'
import { describeDrift } from '../tool-drift.ts'
import { addWhere, ask, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { columns, print, printJson } from './print.ts'

interface Options extends Where {
  readonly watch?: boolean
  readonly json?: boolean
}

/** ms between two looks of --watch */
const interval = 1_000

export function addStatus(program: Command): void {
  addWhere(program.command('status'))
    .description('what is true now: commit, servers, proxies')
    .argument('[server]', 'only this server, with its tools and the log of what failed')
    .option('--watch', 'again whenever it changes, until Ctrl-C')
    .option('--json', 'as JSON, one document a line')
    .action((server: string | undefined, options: Options) =>
      options.watch ? watch(server, options) : show(server, options),
    )
}

async function show(server: string | undefined, options: Options): Promise<void> {
  const { text, value } = await look(server, options)
  if (options.json) printJson(value)
  else print(text)
}

/** Goes on when the controller restarts: that is what one wants to watch. */
async function watch(server: string | undefined, options: Options): Promise<void> {
  let last = ''
  while (true) {
    const seen = await look(server, options).catch((error: unknown) => {
      if (!(error instanceof Fault)) throw error
      return { text: error.message, value: { error: error.message } }
    })
    if (seen.text !== last) {
      if (process.stdout.isTTY && !options.json) process.stdout.write('\x1b[2J\x1b[H')
      if (options.json) printJson(seen.value)
      else print(seen.text)
    }
    last = seen.text
    await sleep(interval)
  }
}

async function look(
  server: string | undefined,
  where: Where,
): Promise<{ readonly text: string; readonly value: unknown }> {
  if (server !== undefined) {
    const value = ServerStatus.parse(await ask(where, { path: `/status/${encodeURIComponent(server)}` }))
    return { text: describeServer(value), value }
  }
  const value = Status.parse(await ask(where, { path: '/status' }))
  return { text: describeStatus(value), value }
}

function describeStatus(status: Status): string {
  const servers = status.servers.map(({ name, phase, tools, reason, drift, suspicions }) => [
    name,
    phase,
    tools === undefined ? '' : `${tools.length} tools`,
    [reason, ...remarksOn(drift, suspicions)].join('; '),
  ])
  const proxies = status.proxies.map(({ name, live, have, reason }) => [
    name,
    live ? 'live' : 'not live',
    `revision ${have}`,
    reason,
  ])
  return [
    `${status.instance}  ${status.repository} ${status.branch}`,
    ...concernsOf(status).map(({ what, is }) => `${what}  ${is}`),
    ...(status.attempted === undefined ? ['no commit was seen yet'] : describeCommit(status.attempted)),
    ...(servers.length === 0 ? [] : ['', columns(servers)]),
    ...(proxies.length === 0 ? [] : ['', columns(proxies)]),
  ].join('\n')
}

function remarksOn(drift: ServerStatus['drift'] = [], suspicions: ServerStatus['suspicions'] = []): readonly string[] {
  const blocked = drift.filter(({ treated }) => treated === 'blocked').length
  const differ = drift.length === 1 ? '1 tool differs' : `${drift.length} tools differ`
  return [
    ...(drift.length === 0 ? [] : [`${differ} from the lock${blocked === 0 ? '' : `, ${blocked} blocked`}`]),
    ...(suspicions.length === 0 ? [] : [`${suspicions.length} suspicious`]),
  ]
}

/** A commit with its faults, a line each. */
export function describeCommit(status: CommitStatus): readonly string[] {
  const { commit, phase, reason, errors, held = [], approved = [], repaired = [], warnings = [] } = status
  return [
    `commit ${commit.slice(0, 12)}  ${phase}  ${reason}`,
    ...errors.map((error) => `  ${error}`),
    ...held.map(({ plan, what, because }) => `  held ${plan}  ${what}: ${because}`),
    ...approved.map((part) => `  approved ${part}`),
    ...repaired.map((part) => `  put right ${part}`),
    ...warnings.map((warning) => `  warning: ${warning}`),
  ]
}

/** What differs from the lock, with what it was and is, and what tools say that they should not. */
function describeTools({ drift = [], suspicions = [], clashes = [] }: ServerStatus): readonly string[] {
  const told = drift.flatMap((tool) => [
    describeDrift(tool),
    ...(tool.differs ?? []).flatMap(({ part, old, new: now }) => [
      ...(old === undefined ? [] : [`  - ${part}: ${old}`]),
      ...(now === undefined ? [] : [`  + ${part}: ${now}`]),
    ]),
  ])
  const said = suspicions.map(({ tool, at, what }) => `${tool} ${at}: ${what}`)
  return [
    ...(told.length === 0 ? [] : ['', 'differs from manifests/tools.lock.yaml:', ...told]),
    ...(said.length === 0 ? [] : ['', 'says what it should not:', ...said]),
    ...(clashes.length === 0 ? [] : ['', 'called the same at /mcp:', ...clashes.map(describeClash)]),
  ]
}

function describeServer(server: ServerStatus): string {
  const fields = [
    ['state', `${server.phase}  ${server.reason}`],
    ['description', server.description],
    ['serving', server.serving],
    ['wanted', server.wanted],
    ['commit', server.commit],
    ['era', server.era],
    ['tools', server.tools?.join(', ')],
    ['calls', server.calls?.toString()],
    ...describeBudgets(server).map((line) => ['budget', line]),
  ].flatMap(([name = '', value]) => (value === undefined ? [] : [[name, value]]))
  return [
    server.name,
    columns(fields),
    ...describeTools(server),
    ...(server.log === undefined ? [] : ['', server.log]),
  ].join('\n')
}
