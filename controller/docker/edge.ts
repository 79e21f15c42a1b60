import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { addressOf, type HostOptions, lossyHandover, migration, unitName } from '../host.ts'
import { confined, grace } from './container.ts'
import { type ContainerOptions, type EngineContainer, EngineRefusal } from './engine.ts'
import { carries, frontNetwork, labelsOf, mark } from './labels.ts'
import { nameAgain, wake } from './mend.ts'
import { type Estate, ensureFront, join, joinForeign, serverNetworks } from './network.ts'

/** Where proxies listen in edge's namespace. */
export const proxyPort = 3100
const published = `${proxyPort}/tcp`

export interface EdgeWish {
  readonly listen: HostOptions['listen']
  /** Image that has `sleep`. */
  readonly image: string
  /** The state that it belongs to. */
  readonly state: string
  /** Networks of others that it joins. */
  readonly networks: readonly string[]
}

/** Edge at the wanted address, on every network that it must be on, running. One at another address is replaced. */
export async function ensureEdge(estate: Estate, wish: EdgeWish, signal: AbortSignal): Promise<void> {
  const { engine } = estate
  const wanted = addressOf(wish.listen)
  for (const edge of await edgesOf(estate, signal))
    if (publishedAddress(edge) !== wanted) {
      await engine.stopContainer(edge.Id, grace, signal)
      await engine.removeContainer(edge.Id, 'stopped', signal)
    }
  await ensureFront(estate, signal)
  const edge = await makeEdge(estate, wish, migration, signal)
  try {
    await startAt(estate, edge.Id, wanted, signal)
  } catch (error) {
    if (!(error instanceof EngineRefusal) || !error.message.includes('tcp_migrate_req')) throw error
    await engine.removeContainer(edge.Id, 'stopped', signal)
    const plain = await makeEdge(estate, wish, undefined, signal)
    await startAt(estate, plain.Id, wanted, signal)
  }
}

/** Edge, with the setting or without, made or found, on every network that it must be on. */
async function makeEdge(
  estate: Estate,
  wish: EdgeWish,
  setting: typeof migration | undefined,
  signal: AbortSignal,
): Promise<EngineContainer> {
  const { engine, instance } = estate
  const name = edgeName(instance, wish.listen)
  const spec = edgeSpec(addressOf(wish.listen))
  await nameAgain(estate, { instance, role: 'edge', spec }, name, signal)
  await engine.createContainer(name, edgeContainer(instance, wish, setting), signal)
  const edge = await engine.container(name, signal)
  if (edge === undefined || !carries(edge.Config.Labels, { instance, role: 'edge' }))
    throw new Error(`container ${name} exists and is not ours: remove it, or choose another GATEWAY_INSTANCE`)
  const ours = (await serverNetworks(estate, signal)).map(({ Name }) => Name)
  await wake(engine, edge, signal)
  await join(estate, edge, [frontNetwork(instance), ...ours], signal)
  await joinForeign(estate, edge, wish.networks, signal)
  return edge
}

/** What its edge cannot give, in words; undefined where it gives everything. */
export function edgeRemark({ HostConfig }: EngineContainer): string | undefined {
  return HostConfig.Sysctls?.[migration] === undefined
    ? `${lossyHandover} is not in the kernel that edge was made on`
    : undefined
}

export async function runningEdge(estate: Estate, signal: AbortSignal): Promise<EngineContainer> {
  const edge = (await edgesOf(estate, signal)).find(({ State }) => State.Status === 'running')
  if (edge === undefined) throw new Error('edge does not run: nothing can reach a server yet')
  return edge
}

export function edgesOf({ engine, instance }: Estate, signal: AbortSignal): Promise<readonly EngineContainer[]> {
  return engine.containers(labelsOf({ instance, role: 'edge' }), signal)
}

/** Throws when this instance belongs to another state, which nobody has told this one to take over. */
export async function refuseForeign(edges: readonly EngineContainer[], state: string, folder: string): Promise<void> {
  const owners = edges.map(({ Config }) => mark(Config.Labels, 'state') ?? '').filter((owner) => owner !== state)
  if (owners.length === 0) return
  const adopted = await readFile(joinPath(folder, 'adopted'), 'utf8').catch(() => '')
  const foreign = owners.find((owner) => !adopted.split('\n').includes(owner))
  if (foreign === undefined) return
  const instance = mark(edges[0]?.Config.Labels, 'instance')
  throw new Error(
    `GATEWAY_INSTANCE: "${instance}" on this engine belongs to the state ${foreign}, not to ${state}: choose another name, or run \`gateway adopt\` on this machine to take it over`,
  )
}

export function publishedAddress(edge: EngineContainer): string {
  const at = edge.HostConfig.PortBindings?.[published]?.[0]
  return at === undefined ? '' : addressOf({ host: at.HostIp, port: Number(at.HostPort) })
}

export function edgeName(instance: string, listen: HostOptions['listen']): string {
  return unitName(instance, 'edge', edgeSpec(addressOf(listen)))
}

function edgeSpec(address: string): string {
  return createHash('sha256').update(address).digest('hex')
}

function edgeContainer(
  instance: string,
  { listen, image, state }: EdgeWish,
  setting: typeof migration | undefined,
): ContainerOptions {
  return {
    Image: image,
    Labels: labelsOf({ instance, role: 'edge', spec: edgeSpec(addressOf(listen)), state }),
    User: '10001:10001',
    Entrypoint: ['sleep'],
    Cmd: ['infinity'],
    ExposedPorts: { [published]: {} },
    HostConfig: {
      ...confined,
      NetworkMode: frontNetwork(instance),
      SecurityOpt: ['no-new-privileges:true'],
      ExtraHosts: ['host.docker.internal:host-gateway'],
      Sysctls: { 'net.ipv4.ip_forward': '0', ...(setting === undefined ? {} : { [setting]: '1' }) },
      PortBindings: { [published]: [{ HostIp: listen.host, HostPort: String(listen.port) }] },
    },
  }
}

async function startAt({ engine }: Estate, id: string, address: string, signal: AbortSignal): Promise<void> {
  try {
    await engine.startContainer(id, signal)
  } catch (error) {
    if (!(error instanceof EngineRefusal) || !/already allocated|address already in use/.test(error.message))
      throw error
    throw new Error(`GATEWAY_PROXY_LISTEN: ${address} is in use by another program: end it, or choose another port`, {
      cause: error,
    })
  }
}
