import type { Account } from '#manifests/account.ts'
import type { ServerStatus } from '#manifests/status.ts'
import { agentFacts } from './account-agent.ts'
import { describeClash } from './clash.ts'
import { suggestion } from './compile/nearest.ts'
import { Refused } from './controller.ts'
import { explainLines } from './explain.ts'
import { difference, type Target, targetKey } from './generation.ts'
import type { Attempt } from './journal/failures.ts'
import type { Standing } from './outcome.ts'
import { retryAt } from './patience.ts'
import type { Fact, Records } from './records.ts'
import { describeDrift } from './tool-drift.ts'

const remembered = 3

/** Why a server or an agent is as it is, and with a tool: whether the agent may call it. Pure. Throws `Refused`. */
export function account(name: string, tool: string | undefined, records: Records): Account {
  const { agents } = records.standing.aim
  const agent = agents[name] ?? undefined
  const server = records.servers.find((one) => one.name === name)
  if (agent !== undefined && (server === undefined || tool !== undefined))
    return { about: 'agent', name, facts: [...agentFacts({ name, agent, records }, tool)] }
  if (server === undefined) {
    const names = [...records.servers.map((one) => one.name), ...Object.keys(agents)]
    const near = suggestion(name, names) || ` (there are: ${names.join(', ') || 'none'})`
    throw new Refused(`no server and no agent "${name}"${near}`)
  }
  if (tool !== undefined) throw new Refused(`${name} is a server: who may call a tool is told of an agent`)
  return { about: 'server', name, facts: serverFacts(server, records) }
}

function serverFacts(server: ServerStatus, records: Records): Fact[] {
  const { name } = server
  const { standing, steps, failures } = records
  const target = standing.aim.targets[name]
  const own = steps.filter((step) => 'server' in step && step.server === name)
  const plan = explainLines(own).slice(0, -1)
  return [
    fact('state', `${server.phase}: ${server.reason}`),
    ...facts('wanted', target === undefined ? [] : wanted(target)),
    ...facts('serves', serves(server, target, records)),
    ...facts('on the host', onHost(name, records)),
    ...facts('plan', plan.length === 0 ? ['nothing to do'] : plan),
    ...facts('doing', [standing.runs.get(name)?.doing]),
    ...facts('trouble', [standing.troubles.get(name)]),
    ...facts(
      'held',
      (standing.aim.held ?? []).map(({ plan: id, what, because }) => `${id}  ${what}: ${because}`),
    ),
    ...facts('suspended', [standing.aim.suspended?.get(name)]),
    ...facts('rolled back', [standing.aim.pinned?.get(name)]),
    ...failures.filter((one) => one.server === name).map((one) => fact('failed', failed(one))),
    ...facts('lately', lately(name, records)),
    ...facts('differs from the lock', (server.drift ?? []).map(describeDrift)),
    ...facts(
      'says',
      (server.suspicions ?? []).map(({ tool, at, what }) => `${tool} ${at}: ${what}`),
    ),
    ...facts('not reached', (server.clashes ?? []).map(describeClash)),
    ...facts('granted to', [grantedTo(name, standing) || 'nobody']),
    ...facts('commits', commitsOf(name, records)),
  ]
}

function fact(what: string, is: string): Fact {
  return { what, is }
}

function facts(what: string, all: readonly (string | undefined)[]): Fact[] {
  return all.flatMap((is) => (is === undefined ? [] : [fact(what, is)]))
}

function wanted(target: Target): string[] {
  switch (target.kind) {
    case 'held':
      return [`cannot be made yet: ${target.because}`]
    case 'elsewhere':
      return [`what answers at ${target.url}`, ...target.server.loosens]
    case 'run': {
      const { generation, parts, server } = target
      const secrets = Object.keys(server.secrets)
      const from = generation.image.kind === 'built' ? `built from ${parts.image.slice(0, 12)}` : parts.image
      return [
        `${short(targetKey(target))} of commit ${generation.origin.slice(0, 12)}, ${from}`,
        ...(secrets.length === 0 ? [] : [`with the secrets ${secrets.join(', ')}`]),
        ...server.loosens,
      ]
    }
    default:
      return target satisfies never
  }
}

function serves(server: ServerStatus, target: Target | undefined, { known, standing }: Records): string[] {
  const { serving, commit } = server
  if (serving === undefined) return ['nothing']
  const isWanted = serving === server.wanted
  const parts = known.get(serving)
  const differs =
    !isWanted && target?.kind === 'run' ? [`differs from what is wanted: ${difference(parts, target.parts)}`] : []
  const reached = standing.table?.servers[server.name]?.upstream === undefined ? ', and calls wait or are told so' : ''
  return [`${short(serving)}${commit === undefined ? '' : ` of commit ${commit.slice(0, 12)}`}${reached}`, ...differs]
}

function onHost(name: string, { sight }: Records): string[] {
  return sight.generations
    .filter(({ server }) => server === name)
    .toSorted((a, b) => b.startedAt - a.startedAt)
    .map(({ spec, state, startedAt, endedAt, exitCode, restarts }) => {
      const ended =
        state === 'running'
          ? ''
          : `${at(', ended', endedAt)}${exitCode === undefined ? '' : ` with exit code ${exitCode}`}`
      return `${spec.slice(0, 8)}  ${state}${at(', started', startedAt)}${ended}${restarts === 0 ? '' : `, restarted ${restarts} times`}`
    })
}

function failed(attempt: Attempt): string {
  const again = retryAt(attempt)
  const next =
    again === undefined
      ? `not tried again before it changes, or "gateway retry ${attempt.server}"`
      : `tried again at ${iso(again)}`
  const times = attempt.attempts === 1 ? 'once' : `${attempt.attempts} times`
  return `${attempt.spec.slice(0, 8)} of commit ${attempt.commit.slice(0, 12)}, ${times}, last at ${iso(attempt.at)}: ${attempt.reason}; ${next}`
}

const done = { roll: 'came to serve', heal: 'was started again', mend: 'was put right' } as const

function lately(name: string, { moves }: Records): string[] {
  return moves
    .filter(({ server }) => server === name)
    .slice(-remembered)
    .map(({ kind, spec, because, at: when }) => `${iso(when)}  ${done[kind]}: ${spec.slice(0, 8)}, ${because}`)
}

function grantedTo(name: string, { aim }: Standing): string {
  return Object.entries(aim.agents)
    .flatMap(([agent, { grants }]) => (grants[name] === undefined ? [] : [agent]))
    .join(', ')
}

function commitsOf(name: string, { history }: Records): string[] {
  return history
    .filter(({ servers, plan }) => servers[name] !== undefined || plan.some((line) => line.split(/\s+/)[1] === name))
    .slice(0, remembered)
    .map(
      ({ since, commit, phase, servers }) =>
        `${since}  ${commit.slice(0, 12)}  ${phase}${servers[name] === undefined ? '' : `: ${servers[name].reason}`}`,
    )
}

function short(key: string | undefined): string {
  return key?.replace(/(@.{8}).*/, '$1') ?? ''
}

function at(word: string, time: number | undefined): string {
  return time === undefined || time === 0 ? '' : `${word} ${iso(time)}`
}

function iso(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')
}
