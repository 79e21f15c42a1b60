import { setTimeout as sleep } from 'node:timers/promises'
import { type ServerStatus, Status, unasked } from '#manifests/status.ts'
import { shellQuoted } from '../source/git-environment.ts'
import { answers } from './answer.ts'
import { ask, type Where } from './ask.ts'
import { describeCall, describeClient } from './client.ts'
import type { LeftOut } from './demo.ts'
import { Fault } from './fault.ts'
import { columns, print } from './print.ts'
import { describeCommit } from './status.ts'

/** What someone who just started a gateway wants to know. */
export interface Welcome {
  /** Where agents connect, without /mcp. */
  readonly endpoint: string
  /** The same as this machine reaches it. */
  readonly here: string
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

/** Tells each change of a phase, what is done for a server on its way, and the welcome once one answers, until the signal. */
export async function tellNews(where: Where, welcome: Welcome, signal: AbortSignal): Promise<void> {
  const told = new Map<string, string>()
  let welcomed = false
  while (!signal.aborted) {
    const status = await look(where)
    for (const line of status === undefined ? [] : news(status, told)) print(line)
    if (!welcomed && status !== undefined && (await isWelcome(welcome, status))) {
      print(describeWelcome(welcome, status))
      welcomed = true
    }
    await sleep(interval, undefined, { signal }).catch(() => {})
  }
}

/** The call that the welcome shows has an answer, or none ever will with this commit. */
async function isWelcome({ here, token }: Welcome, { servers, proxies, attempted }: Status): Promise<boolean> {
  if (!proxies.some(({ live }) => live)) return false
  const ended = attempted?.phase === 'applied' || attempted?.phase === 'degraded'
  if (!servers.some(({ phase }) => phase === 'ready')) return ended && !servers.some(isComing)
  return token === undefined ? true : await answers(here, token)
}

async function look(where: Where): Promise<Status | undefined> {
  try {
    return Status.parse(await ask(where, { path: '/status' }))
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

function news({ attempted, servers, source, host }: Status, told: Map<string, string>): readonly string[] {
  const isNew = (subject: string, phase: string) => {
    const before = told.get(subject)
    told.set(subject, phase)
    return before !== phase
  }
  return [
    ...Object.entries({ repository: source, host })
      .filter(([subject, { ok, reason }]) => isNew(subject, reason) && !ok && reason !== unasked)
      .map(([subject, { reason }]) => `${subject}  ${reason}`),
    ...(attempted !== undefined && isNew('commit', attempted.commit + attempted.phase)
      ? describeCommit(attempted)
      : []),
    ...servers
      .filter(({ name, phase, reason }) => isNew(`server ${name}`, phase === 'deploying' ? reason : phase))
      .map(({ name, phase, reason }) => (phase === 'ready' ? `${name}  ready` : `${name}  ${phase}  ${reason}`)),
  ]
}

/** Each command in it works as it is pasted. */
export function describeWelcome(welcome: Welcome, status: Status): string {
  const { endpoint, page, repository, token, leftOut } = welcome
  const [coming, stuck] = [status.servers.filter(isComing), status.servers.filter(isStuck)]
  const absent = [...leftOut, ...stuck.map(withAdvice)].map(({ name, reason }) => [`  ${name}`, reason])
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
    ...(coming.length === 0 ? [] : [`\nStill on the way: ${coming.map(({ name }) => name).join(', ')}`]),
    ...(absent.length === 0 ? [] : ['\nCannot run here:\n', columns(absent)]),
    '\nCtrl-C stops it.',
  ].join('\n')
}

/** One that waits does so for what a person must bring, such as a secret. */
function isComing({ phase }: ServerStatus): boolean {
  return phase === 'deploying'
}

function isStuck(server: ServerStatus): boolean {
  return server.phase !== 'ready' && !isComing(server)
}

function withAdvice({ name, phase, reason }: ServerStatus): LeftOut[number] {
  return { name, reason: phase === 'stalled' ? `${reason}; the next commit tries it again` : reason }
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
