import { unitName } from '../host.ts'
import type { EngineContainer, EngineNetwork } from './engine.ts'
import { carries, egressNetwork, frontNetwork, mark, serverNetwork } from './labels.ts'

/** Resolves nothing: what a server without a way out is given for a name server. */
export const noResolver = '192.0.2.1'

export interface Surroundings {
  readonly instance: string
  /** Every network of the engine. */
  readonly networks: readonly EngineNetwork[]
  /** Every container of the instance. */
  readonly containers: readonly EngineContainer[]
  /** Networks of others that edge joins. */
  readonly foreign: readonly string[]
}

/** How a container that runs is not as it was made, in words; undefined where it is. What the engine does not tell counts as right. */
export function driftOf(container: EngineContainer, around: Surroundings): string | undefined {
  const { Config, State, HostConfig, Name } = container
  const name = nameOf(container, around.instance)
  const policy = HostConfig.RestartPolicy?.Name
  const found = [
    ...(State.Status === 'paused' ? ['it was paused by hand'] : []),
    ...(name === undefined || Name === `/${name}`
      ? []
      : [`it was renamed by hand: ${Name.slice(1)} instead of ${name}`]),
    ...(policy === undefined || policy === 'unless-stopped' ? [] : ['its restart policy was changed by hand']),
    ...(mark(Config.Labels, 'role') === 'edge' ? edgeDrift(container, around) : serverDrift(container, around)),
  ]
  return found.length === 0 ? undefined : found.join('; ')
}

/** The networks that a server's container stands in. */
export function networksOf(instance: string, { Config, HostConfig }: EngineContainer): readonly string[] {
  const server = mark(Config.Labels, 'server') ?? ''
  const hasWayOut = HostConfig.Dns?.includes(noResolver) !== true
  return [serverNetwork(instance, server), ...(hasWayOut ? [egressNetwork(instance)] : [])]
}

/** The networks of others and of servers that run; one whose server comes or goes is nobody's fault. */
function edgeDrift(edge: EngineContainer, { instance, networks, containers, foreign }: Surroundings): string[] {
  const running = containers.filter(({ State }) => State.Status === 'running')
  const servers = new Set(running.flatMap(({ Config }) => mark(Config.Labels, 'server') ?? []))
  const known = new Set(networks.map(({ Name }) => Name))
  const wanted = [
    frontNetwork(instance),
    ...networks
      .filter(({ Labels }) => carries(Labels, { instance }) && servers.has(mark(Labels, 'server') ?? ''))
      .map(({ Name }) => Name),
    ...foreign.filter((name) => known.has(name)),
  ]
  return missing(edge, wanted)
}

function serverDrift(container: EngineContainer, { instance }: Surroundings): string[] {
  if (mark(container.Config.Labels, 'role') !== 'server') return []
  const wanted = networksOf(instance, container)
  const more = Object.keys(container.NetworkSettings.Networks).filter((name) => !wanted.includes(name))
  return [...missing(container, wanted), ...more.map((name) => `it was connected to network ${name} by hand`)]
}

function missing({ NetworkSettings }: EngineContainer, wanted: readonly string[]): string[] {
  return wanted
    .filter((name) => NetworkSettings.Networks[name] === undefined)
    .map((name) => `it was disconnected from network ${name} by hand`)
}

/** What a container of ours is called, by its labels. */
function nameOf({ Config }: EngineContainer, instance: string): string | undefined {
  const [role, server, spec] = [mark(Config.Labels, 'role'), mark(Config.Labels, 'server'), mark(Config.Labels, 'spec')]
  const kind = role === 'server' ? server : role
  return kind === undefined || spec === undefined ? undefined : unitName(instance, kind, spec)
}
