import type { Table, TableServer } from '#manifests/table.ts'
import type { Aim } from '../../controller/aim.ts'
import type { Agent, BuildInput, Server, Settings } from '../../controller/desired.ts'
import { type Machine, type Target, target, targetKey } from '../../controller/generation.ts'
import { generationKey, type ObservedGeneration, type Sight, unitName, type Wanted } from '../../controller/host.ts'
import type { Attempt } from '../../controller/journal/failures.ts'
import type { Observed } from '../../controller/step.ts'

/** Valid things in one line: each takes what differs from the plainest one. */

export const whole = { tools: ['*'], prompts: ['*'], resources: ['*'] }

export function buildInput(files: Readonly<Record<string, string>>): BuildInput {
  const entries = Object.entries(files).map(([path, oid]) => ({ path, oid, mode: '100644', size: 1 }))
  const hash = Buffer.from(JSON.stringify(files)).toString('hex').padEnd(64, '0').slice(-64)
  return { hash, context: '', paths: [], dockerfile: { path: 'Dockerfile' }, args: {}, files: entries }
}

export function server(name: string, more: Partial<Server> = {}): Server {
  return {
    name,
    description: `the ${name} server`,
    runs: { kind: 'build', input: buildInput({ [`servers/${name}/main.ts`]: 'a' }) },
    port: 3000,
    path: '/mcp',
    start: 60_000,
    timeout: 60_000,
    drain: 60_000,
    env: {},
    secrets: {},
    volumes: [],
    mounts: [],
    limits: { memory: 512 * 1024 * 1024, cpus: 1, pids: 256 },
    egress: true,
    tmpfs: ['/tmp'],
    seccomp: 'default',
    prefix: name,
    config: JSON.stringify(more.env ?? {}),
    route: '',
    loosens: [],
    ...more,
  }
}

export function agent(grants: Agent['grants'], more: Partial<Agent> = {}): Agent {
  return { hashes: ['a'.repeat(64)], owner: false, grants, every: false, through: [], ...more }
}

export const machine: Machine = {
  instance: 'gateway',
  secrets: new Map(),
  mounts: new Map(),
  seal: (values) => JSON.stringify(values),
  stdio: 'wrapper',
  secretsFile: '/opt/gateway/.env',
}

/** Nothing is watched and nothing is kept: tests that are about that say so. */
export const settings: Settings = { bake: 0, prune: { most: 1, grace: 0 } }

export function aim(servers: readonly Server[], agents: Aim['agents'] = {}, more: Partial<Machine> = {}): Aim {
  const targets = servers.map((one) => [one.name, target(one, 'c1', { ...machine, ...more })] as const)
  return { commit: 'c1', agents, targets: Object.fromEntries(targets), settings }
}

type RunTarget = Extract<Target, { kind: 'run' }>

export function running(one: Server, more: Partial<ObservedGeneration> = {}): ObservedGeneration {
  const { spec } = runTarget(one).generation
  const name = unitName('gateway', one.name, spec)
  const address = { upstream: `http://${name}:3000` }
  return {
    id: name,
    name,
    server: one.name,
    spec,
    origin: 'c0',
    state: 'running',
    startedAt: 2,
    restarts: 0,
    ...address,
    ...more,
  }
}

export function runTarget(one: Server): RunTarget {
  const made = target(one, 'c1', machine)
  if (made.kind !== 'run') throw new Error(`${one.name} does not run here`)
  return made
}

/** `<server>@<spec>` of the server's generation. */
export function keyOf(one: Server): string {
  return generationKey(one.name, runTarget(one).generation.spec)
}

export const wanted: Wanted = { address: '0.0.0.0:3100', proxy: 'p1' }

export function sight(generations: readonly ObservedGeneration[], more: Partial<Sight> = {}): Sight {
  return {
    edge: { id: 'e', name: 'gateway-edge', state: 'running', startedAt: 1, address: wanted.address },
    proxies: [{ id: 'p', name: 'gateway-proxy-p1', state: 'running', startedAt: 2, spec: 'p1' }],
    generations,
    built: new Set(),
    ...more,
  }
}

/** A table in which each of these serves, and each agent has what the commit gives it. */
export function table(serving: readonly Server[], agents: Aim['agents'] = {}): Table {
  const servers = serving.map((one): [string, TableServer] => {
    const { upstream } = running(one)
    const { path, prefix, description, timeout } = one
    const generation = targetKey(runTarget(one)) ?? ''
    return [
      one.name,
      { generation, path, prefix, description, timeout, ...(upstream === undefined ? {} : { upstream }) },
    ]
  })
  const granted = Object.entries(agents).map(([name, { hashes, grants, expires }]) => [
    name,
    { hashes: [...hashes], grants: { ...grants }, ...(expires === undefined ? {} : { expires }) },
  ])
  return {
    revision: 7,
    grantsFile: 'repository manifests/permissions.yaml',
    agents: Object.fromEntries(granted),
    servers: Object.fromEntries(servers),
    starting: [],
    draining: [],
  }
}

export function observed(generations: readonly ObservedGeneration[], more: Partial<Observed> = {}): Observed {
  return {
    ...{ sight: sight(generations), table: undefined, known: new Map(), failures: new Map(), moves: [], now: 10_000 },
    ...more,
  }
}

/** A failure that only a new commit, or a new generation, gets over. */
export function failure(more: Partial<Attempt> & Pick<Attempt, 'spec'>): Attempt {
  const words = { reason: 'it fails', log: '' }
  return { server: 'outline', commit: 'c1', kind: 'rolled-back', attempts: 1, at: 9_000, ...words, ...more }
}

export function built(...servers: readonly Server[]): ReadonlySet<string> {
  return new Set(
    servers.flatMap(({ name, runs }) => (runs.kind === 'build' ? [generationKey(name, runs.input.hash)] : [])),
  )
}
