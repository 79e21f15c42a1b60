import type { Turn } from '../turn.ts'
import type { Credentials } from './credentials.ts'
import { type Engine, type EngineContainer, type EngineNetwork, EngineRefusal, type NetworkOptions } from './engine.ts'
import { carries, egressNetwork, frontNetwork, labelsOf, mark, serverNetwork } from './labels.ts'
import { freeSubnet } from './subnet.ts'

/** Everything of one instance on one engine. */
export interface Estate {
  readonly engine: Engine
  readonly instance: string
  /** CIDR that the servers' networks are cut from. */
  readonly subnets: string
  /** The operator's, for registries; read anew each time, so that a renewed one counts. */
  readonly credentials: () => Promise<Credentials>
  /** Networks are made one at a time: the engine lists one only when it is done, and its range is taken before. */
  readonly networking: Turn
}

type Wish = Omit<NetworkOptions, 'subnet' | 'Labels'> & {
  readonly server?: string
  readonly cut: 'from subnets' | 'by engine'
  /** Ranges that the engine did not give, because another controller was making a network of them. */
  readonly refused?: readonly string[]
}

const attempts = 16

/** Holds edge and its published port alone. */
export function ensureFront(estate: Estate, signal: AbortSignal): Promise<void> {
  return ensure(estate, { Name: frontNetwork(estate.instance), Internal: false, Options: {}, cut: 'by engine' }, signal)
}

/** The way out for servers, which do not see each other there. */
export function ensureEgress(estate: Estate, signal: AbortSignal): Promise<void> {
  const Options = { 'com.docker.network.bridge.enable_icc': 'false' }
  return ensure(estate, { Name: egressNetwork(estate.instance), Internal: false, Options, cut: 'by engine' }, signal)
}

/**
 * Where edge meets one server. Without an address of its own the bridge does not lead to the ports of the machine; the
 * range is explicit because the engine's own end at about thirty networks.
 */
export function ensureServerNetwork(estate: Estate, server: string, signal: AbortSignal): Promise<void> {
  const Options = { 'com.docker.network.bridge.inhibit_ipv4': 'true' }
  const Name = serverNetwork(estate.instance, server)
  return ensure(estate, { Name, Internal: true, Options, server, cut: 'from subnets' }, signal)
}

/** Networks of this instance's servers. */
export async function serverNetworks(estate: Estate, signal: AbortSignal): Promise<readonly EngineNetwork[]> {
  const all = await estate.engine.networks(signal)
  return all.filter(
    ({ Labels }) => mark(Labels, 'instance') === estate.instance && mark(Labels, 'server') !== undefined,
  )
}

/** Connects a container to what it is not connected to yet. */
export async function join(
  { engine }: Estate,
  container: EngineContainer,
  networks: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const network of networks)
    if (container.NetworkSettings.Networks[network] === undefined) await engine.connect(network, container.Id, signal)
}

/** Connects edge to networks that others manage. Throws where there is none of a name. */
export async function joinForeign(
  estate: Estate,
  edge: EngineContainer,
  networks: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const known = new Set((await estate.engine.networks(signal)).map(({ Name }) => Name))
  const missing = networks.find((name) => !known.has(name))
  if (missing !== undefined) throw new Error(`GATEWAY_NETWORKS: the engine has no network "${missing}"`)
  await join(estate, edge, networks, signal)
}

function ensure(estate: Estate, wish: Wish, signal: AbortSignal): Promise<void> {
  return estate.networking.take(() => ensureAlone(estate, wish, signal), signal)
}

async function ensureAlone(estate: Estate, wish: Wish, signal: AbortSignal): Promise<void> {
  const { cut, server, refused = [], ...options } = wish
  const { engine, instance, subnets } = estate
  const marks = server === undefined ? { instance } : { instance, server }
  const all = await engine.networks(signal)
  const found = all.find(({ Name }) => Name === options.Name)
  if (found && carries(found.Labels, marks) && (server !== undefined || mark(found.Labels, 'server') === undefined))
    return
  if (found) throw new Error(`network ${options.Name} exists and is not ours: remove it, or choose another name`)
  const subnet = cut === 'by engine' ? undefined : freeSubnet(subnets, all, refused)
  if (cut === 'from subnets' && subnet === undefined)
    throw new Error(`GATEWAY_SUBNETS: no /28 is free in ${subnets} for network ${options.Name}`)
  const wanted = { ...options, Labels: labelsOf(marks), ...(subnet === undefined ? {} : { subnet }) }
  try {
    await engine.createNetwork(wanted, signal)
  } catch (error) {
    if (!(error instanceof EngineRefusal) || refused.length === attempts) throw error
    await ensureAlone(estate, { ...wish, refused: [...refused, subnet ?? ''] }, signal)
  }
}
