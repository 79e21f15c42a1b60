import { setTimeout as sleep } from 'node:timers/promises'
import { Status } from '#manifests/status.ts'
import { shellQuoted } from '../git-environment.ts'
import { ask, type Where } from './ask.ts'
import type { LeftOut } from './demo.ts'
import { Fault } from './fault.ts'
import { columns, print } from './print.ts'
import { describeCommit } from './status.ts'

/** What someone who just started a gateway wants to know. */
export interface Welcome {
  /** Where agents connect, without /mcp. */
  readonly endpoint: string
  readonly page: string
  readonly repository: string
  /** Unknown for a repository that is not the demo. */
  readonly token: string | undefined
  /** A server whose description a first push may edit. */
  readonly example: string | undefined
  readonly leftOut: LeftOut
}

/** ms between two looks at the controller. */
const interval = 300

/** Tells each change of a phase, and the welcome as soon as a server answers, until the signal. */
export async function tellNews(where: Where, welcome: Welcome, signal: AbortSignal): Promise<void> {
  const told = new Map<string, string>()
  let welcomed = false
  while (!signal.aborted) {
    const status = await look(where)
    for (const line of status === undefined ? [] : news(status, told)) print(line)
    if (!welcomed && status !== undefined && answers(status)) {
      print(describeWelcome(welcome, status))
      welcomed = true
    }
    await sleep(interval, undefined, { signal }).catch(() => {})
  }
}

async function look(where: Where): Promise<Status | undefined> {
  try {
    return Status.parse(await ask(where, { path: '/status' }))
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

function answers({ servers, proxies, revision }: Status): boolean {
  return servers.some(({ phase }) => phase === 'ready') && proxies.some(({ live, have }) => live && have === revision)
}

function news({ attempted, servers, source, host }: Status, told: Map<string, string>): readonly string[] {
  const isNew = (subject: string, phase: string) => {
    const before = told.get(subject)
    told.set(subject, phase)
    return before !== phase
  }
  return [
    ...(isNew('repository', source.ok ? 'ok' : source.reason) && !source.ok ? [`repository  ${source.reason}`] : []),
    ...(isNew('host', host.ok ? 'ok' : host.reason) && !host.ok ? [`host  ${host.reason}`] : []),
    ...(attempted !== undefined && isNew('commit', attempted.commit + attempted.phase)
      ? describeCommit(attempted)
      : []),
    ...servers
      .filter(({ name, phase }) => isNew(`server ${name}`, phase))
      .map(({ name, phase, reason }) => `${name}  ${phase}  ${reason}`),
  ]
}

/** Each command in it works as it is pasted. */
export function describeWelcome(welcome: Welcome, status: Status): string {
  const { endpoint, page, repository, token, leftOut } = welcome
  const waiting = status.servers
    .filter(({ phase }) => phase !== 'ready')
    .map(({ name, phase, reason }) => ({ name, reason: `${phase}: ${reason}` }))
  const absent = [...leftOut, ...waiting].map(({ name, reason }) => [`  ${name}`, reason])
  return [
    '',
    columns([
      ['endpoint', `${endpoint}/mcp`],
      ['status', page],
      ['repository', repository],
      ['token', token ?? 'of an agent in manifests/permissions.yaml; below it is $TOKEN'],
    ]),
    '\nCall it:\n',
    `  ${describeCall(endpoint, token)}`,
    ...describePush(welcome),
    '\nAn MCP client:\n',
    `  ${describeClient(endpoint, token)}`,
    ...(absent.length === 0 ? [] : ['\nNot running here:\n', columns(absent)]),
    '\nCtrl-C stops it.',
  ].join('\n')
}

function describeCall(endpoint: string, token = '$TOKEN'): string {
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
  return `curl -s ${endpoint}/mcp -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' -d '${body}'`
}

/** Brings its own author, which a new machine lacks, and another text each time, so that there is something to commit. */
function describePush({ repository, token, example }: Welcome): readonly string[] {
  if (token === undefined || example === undefined) return []
  const steps = [
    'cd "$(mktemp -d)"',
    `git clone -q ${shellQuoted(repository)} .`,
    `sed -i.bak "s/^description: .*/description: Changed by a push at $(date +%T)/" manifests/servers/${example}.yaml`,
    `git -c user.name=demo -c user.email=demo@localhost commit -qam 'Describe ${example} anew'`,
    'git push -q',
  ]
  return ['\nChange it by a push:\n', `  (${steps.join(' && ')})`]
}

function describeClient(endpoint: string, token = '$TOKEN'): string {
  const headers = { Authorization: `Bearer ${token}` }
  return JSON.stringify({ mcpServers: { gateway: { type: 'http', url: `${endpoint}/mcp`, headers } } })
}
