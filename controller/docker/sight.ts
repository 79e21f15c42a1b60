import type { ObservedEdge, ObservedGeneration, Sight, UnitState } from '../host.ts'
import { driftOf, type Surroundings } from './drift.ts'
import { edgeRemark, publishedAddress } from './edge.ts'
import type { EngineContainer, EngineNetwork, ListedImage } from './engine.ts'
import { builtKey, ownTags, productName } from './image.ts'
import { carries, mark } from './labels.ts'

/** What the engine shows of one instance, in the words of every host. `images` are the instance's own. */
export function sightOf(around: Surroundings, images: readonly ListedImage[]): Sight {
  const { instance, containers } = around
  const networks = around.networks.filter(({ Labels }) => carries(Labels, { instance }))
  const as = (role: string) => containers.filter(({ Config }) => mark(Config.Labels, 'role') === role)
  const edges = as('edge').map((edge) => edgeOf(edge, around))
  return {
    edge: edges.find(({ state }) => state === 'running') ?? edges[0],
    proxies: as('proxy').map((proxy) => ({ ...seeUnit(proxy, around), spec: mark(proxy.Config.Labels, 'spec') ?? '' })),
    generations: as('server').map((server) => generationOf(server, around)),
    built: new Set(images.flatMap(builtOf)),
    left: leftOf(as('server'), [...networks, ...images.filter((image) => isFree(image, around))]),
  }
}

function leftOf(servers: readonly EngineContainer[], things: readonly Pick<EngineNetwork, 'Labels'>[]): Set<string> {
  const named = things.flatMap(({ Labels }) => mark(Labels, 'server') ?? [])
  const left = new Set(named.filter((server) => server !== productName))
  for (const { Config } of servers) left.delete(mark(Config.Labels, 'server') ?? '')
  return left
}

/** Whether it can be removed: somebody's own tag keeps an image that is ours, and so does a container of theirs. */
function isFree(image: ListedImage, { instance, containers }: Surroundings): boolean {
  return ownTags(instance, [image]).length > 0 && !containers.some(({ Image }) => Image === image.Id)
}

function edgeOf(container: EngineContainer, around: Surroundings): ObservedEdge {
  const remark = edgeRemark(container)
  const address = publishedAddress(container)
  return { ...seeUnit(container, around), address, ...(remark === undefined ? {} : { remark }) }
}

function generationOf(container: EngineContainer, around: Surroundings): ObservedGeneration {
  const { Labels, Env } = container.Config
  const unit = seeUnit(container, around)
  const context = mark(Labels, 'context')
  const port = Env?.find((pair) => pair.startsWith('PORT='))?.slice('PORT='.length)
  return {
    ...unit,
    server: mark(Labels, 'server') ?? '',
    spec: mark(Labels, 'spec') ?? '',
    origin: mark(Labels, 'origin') ?? '',
    ...(context === undefined ? {} : { context }),
    restarts: container.RestartCount,
    limits: limitsOf(container),
    ...(unit.state === 'running' ? { upstream: `http://${unit.name}:${port}` } : {}),
  }
}

/** An engine on a kernel that lacks one sets none. */
function limitsOf({ HostConfig: { Memory, NanoCpus, PidsLimit } }: EngineContainer): ObservedGeneration['limits'] {
  return {
    ...(Memory ? { memory: Memory } : {}),
    ...(NanoCpus ? { cpus: NanoCpus / 1e9 } : {}),
    ...(PidsLimit ? { pids: PidsLimit } : {}),
  }
}

function seeUnit(container: EngineContainer, around: Surroundings) {
  const { Id, Name, State } = container
  const state = stateOf(State.Status)
  const startedAt = Math.max(0, Date.parse(State.StartedAt))
  const endedAt = Date.parse(State.FinishedAt)
  const end = { exitCode: State.ExitCode, ...(endedAt > 0 ? { endedAt } : {}) }
  const drift = state === 'running' ? driftOf(container, around) : undefined
  const found = { ...(state === 'exited' ? end : {}), ...(drift === undefined ? {} : { drift }) }
  return { id: Id, name: Name.slice(1), state, startedAt, ...found }
}

/** One that crashed and is about to be started again counts as running: the engine looks after it, and its restarts tell. */
function stateOf(status: string): UnitState {
  if (status === 'created') return 'created'
  return ['running', 'restarting', 'paused'].includes(status) ? 'running' : 'exited'
}

/** One whose tag somebody took away would be built again. */
function builtOf({ RepoTags, Labels }: ListedImage): string | [] {
  const context = mark(Labels, 'context')?.slice(0, 12)
  const isTagged = context !== undefined && RepoTags?.some((tag) => tag.endsWith(context))
  return (isTagged && builtKey(Labels)) || []
}
