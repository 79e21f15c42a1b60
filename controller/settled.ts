import type { Table, TableServer } from '#manifests/table.ts'
import type { Aim } from './aim.ts'
import type { Desired } from './desired.ts'
import { type Machine, neededSecrets, targetKey } from './generation.ts'
import { generationKey, type ObservedGeneration, unitName, type Wanted } from './host.ts'
import { emptyDraft, settle } from './routes.ts'
import type { Observed } from './step.ts'

/** What a host that runs nothing of its own would want: proxies from what the commit says. */
export function wantedOf({ settings: { product } }: Aim): Wanted {
  return { address: '', proxy: product === undefined ? '' : product.kind === 'ref' ? product.ref : product.input.hash }
}

/** A machine that lacks nothing: every secret and folder that the commits name is there, with a value that does not change. */
export function anyMachine(...commits: readonly Desired[]): Machine {
  const servers = commits.flatMap((desired) => Object.values(desired.servers))
  return {
    instance: 'gateway',
    secrets: new Map(servers.flatMap(neededSecrets).map((name) => [name, name] as const)),
    mounts: new Map(servers.flatMap(({ mounts }) => mounts.map(({ source }) => [source, ''] as const))),
    seal: () => '',
    stdio: '',
    secretsFile: '',
  }
}

/** What would be observed where everything is as the commit says: what a plan starts from when no machine is asked. */
export function settled(aim: Aim): Observed {
  const wanted = wantedOf(aim)
  const targets = Object.values(aim.targets).filter((one) => one.kind === 'run')
  const edge = { id: '', name: '', state: 'running' as const, startedAt: 0, address: wanted.address }
  const proxies = [{ id: '', name: '', state: 'running' as const, startedAt: 0, spec: wanted.proxy }]
  const built = targets.flatMap(({ server, generation: { image } }) =>
    image.kind === 'built' ? [generationKey(server.name, image.input.hash)] : [],
  )
  const sight = {
    edge,
    proxies,
    generations: targets.map(({ generation }) => running(generation)),
    built: new Set(built),
  }
  const known = new Map(
    targets.map(({ server, generation, parts }) => [generationKey(server.name, generation.spec), parts]),
  )
  return { sight, table: tableOf(aim), known, failures: new Map(), moves: [], now: 0 }
}

function running({ server, spec, origin }: { server: string; spec: string; origin: string }): ObservedGeneration {
  const name = unitName('gateway', server, spec)
  return {
    id: name,
    name,
    server,
    spec,
    origin,
    state: 'running',
    startedAt: 0,
    restarts: 0,
    upstream: `http://${name}`,
  }
}

function tableOf(aim: Aim): Table {
  const serving = Object.values(aim.targets).flatMap((one): [string, TableServer][] => {
    const { name, path, prefix, description, timeout, health, budgets } = one.server
    const generation = targetKey(one)
    if (generation === undefined) return []
    const route = { generation, upstream: `http://${name}`, path, prefix, description, timeout }
    return [[name, { ...route, ...(health !== undefined && { health }), ...(budgets !== undefined && { budgets }) }]]
  })
  const draft = { ...emptyDraft(''), servers: Object.fromEntries(serving) }
  return { ...settle(draft, aim), revision: 0 }
}
