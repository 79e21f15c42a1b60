import { generationKey, type ObservedEdge, type ObservedGeneration, type Sight, type UnitState } from '../host.ts'
import { edgeRemark, publishedAddress } from './edge.ts'
import type { EngineContainer, EngineNetwork, ListedImage } from './engine.ts'
import { productName } from './image.ts'
import { mark } from './labels.ts'

/** All that carries the label of one instance. */
export interface Estates {
  readonly containers: readonly EngineContainer[]
  readonly images: readonly ListedImage[]
  readonly networks: readonly EngineNetwork[]
}

/** What the engine shows of one instance, in the words of every host. */
export function sightOf({ containers, images, networks }: Estates): Sight {
  const as = (role: string) => containers.filter(({ Config }) => mark(Config.Labels, 'role') === role)
  const edges = as('edge').map(edgeOf)
  return {
    edge: edges.find(({ state }) => state === 'running') ?? edges[0],
    proxies: as('proxy').map((proxy) => ({ ...unitOf(proxy), spec: mark(proxy.Config.Labels, 'spec') ?? '' })),
    generations: as('server').map(generationOf),
    built: new Set(images.flatMap(builtKey)),
    left: leftOf(as('server'), [...networks, ...images]),
  }
}

function leftOf(servers: readonly EngineContainer[], things: readonly Pick<EngineNetwork, 'Labels'>[]): Set<string> {
  const named = things.flatMap(({ Labels }) => mark(Labels, 'server') ?? [])
  const left = new Set(named.filter((server) => server !== productName))
  for (const { Config } of servers) left.delete(mark(Config.Labels, 'server') ?? '')
  return left
}

function edgeOf(container: EngineContainer): ObservedEdge {
  const remark = edgeRemark(container)
  return { ...unitOf(container), address: publishedAddress(container), ...(remark === undefined ? {} : { remark }) }
}

function generationOf(container: EngineContainer): ObservedGeneration {
  const { Labels, Env } = container.Config
  const unit = unitOf(container)
  const context = mark(Labels, 'context')
  const port = Env?.find((pair) => pair.startsWith('PORT='))?.slice('PORT='.length)
  return {
    ...unit,
    server: mark(Labels, 'server') ?? '',
    spec: mark(Labels, 'spec') ?? '',
    origin: mark(Labels, 'origin') ?? '',
    ...(context === undefined ? {} : { context }),
    restarts: container.RestartCount,
    ...(unit.state === 'running' ? { upstream: `http://${unit.name}:${port}` } : {}),
  }
}

function unitOf({ Id, Name, State }: EngineContainer) {
  const state = stateOf(State.Status)
  const startedAt = Math.max(0, Date.parse(State.StartedAt))
  const endedAt = Date.parse(State.FinishedAt)
  const end = { exitCode: State.ExitCode, ...(endedAt > 0 ? { endedAt } : {}) }
  return { id: Id, name: Name.slice(1), state, startedAt, ...(state === 'exited' ? end : {}) }
}

/** One that crashed and is about to be started again counts as running: the engine looks after it, and its restarts tell. */
function stateOf(status: string): UnitState {
  if (status === 'created') return 'created'
  return ['running', 'restarting', 'paused'].includes(status) ? 'running' : 'exited'
}

function builtKey({ RepoTags, Labels }: ListedImage): string | [] {
  const [server, context] = [mark(Labels, 'server'), mark(Labels, 'context')]
  if (server === undefined || context === undefined || !RepoTags?.some((tag) => tag.endsWith(context.slice(0, 12))))
    return []
  return generationKey(server, context)
}
