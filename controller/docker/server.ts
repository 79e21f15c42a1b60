import { type Generation, unitName } from '../host.ts'
import { serverContainer } from './container.ts'
import { runningEdge } from './edge.ts'
import { type ContainerOptions, type EngineContainer, EngineRefusal } from './engine.ts'
import { imageOf, removeImages } from './image.ts'
import { carries, labelsOf, serverNetwork, volumeName } from './labels.ts'
import { mendServer, nameAgain, stand } from './mend.ts'
import { type Estate, ensureEgress, ensureServerNetwork, join } from './network.ts'
import { userOf } from './user.ts'
import { ensureVolume, handOver } from './volume.ts'

/** Everything that a generation stands on, then its container: each is made if it is absent, so that any part may be repeated. */
export async function startServer(
  estate: Estate,
  { generation, wrapper }: { readonly generation: Generation; readonly wrapper: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const { engine, instance } = estate
  const { server, egress } = generation
  const image = await imageOf(estate, generation, signal)
  const user = userOf(generation.user, image.Config.User)
  const volumes = generation.mounts.filter(({ kind }) => kind === 'volume')
  const names = [...new Set(volumes.map(({ source }) => volumeName(instance, server, source)))]
  await ensureServerNetwork(estate, server, signal)
  if (egress) await ensureEgress(estate, signal)
  await join(estate, await runningEdge(estate, signal), [serverNetwork(instance, server)], signal)
  for (const name of names) await ensureVolume(estate, name, { instance, server }, signal)
  const options = serverContainer(instance, generation, { image, user, wrapper })
  const container = await createOrAdopt(estate, generation, options, signal)
  if (['running', 'paused'].includes(container.State.Status)) return mendServer(estate, container, generation, signal)
  const owner = `${instance}-${server}-owner`
  await handOver(estate, { name: owner, image: image.Id, user, volumes: names }, signal)
  await stand(estate, container, signal)
  await engine.startContainer(container.Id, signal)
}

/** Removes the network and the builds of a server, as far as no container stands on them. */
export async function forgetServer(estate: Estate, server: string, signal: AbortSignal): Promise<void> {
  const { engine, instance } = estate
  await removeImages(estate, { server }, signal)
  const left = await engine.containers(labelsOf({ instance, role: 'server', server }), signal)
  const network = (await engine.networks(signal)).find(({ Labels }) => carries(Labels, { instance, server }))
  if (network === undefined || left.length > 0) return
  for (const edge of await engine.containers(labelsOf({ instance, role: 'edge' }), signal))
    if (edge.NetworkSettings.Networks[network.Name]) await engine.disconnect(network.Id, edge.Id, signal)
  await engine.removeNetwork(network.Id, signal)
}

/** A container of that name is this generation already, made for an earlier commit or by a pass that was interrupted; or it is not ours. */
async function createOrAdopt(
  estate: Estate,
  { server, spec }: Generation,
  options: ContainerOptions,
  signal: AbortSignal,
): Promise<EngineContainer> {
  const { engine, instance } = estate
  const name = unitName(instance, server, spec)
  await nameAgain(estate, { instance, role: 'server', server, spec }, name, signal)
  const made = await engine.createContainer(name, options, signal).catch(explainRefusal)
  const container = await engine.container(made === 'taken' ? name : made.id, signal)
  if (container === undefined) throw new Error(`container ${name} was removed while it was made`)
  if (carries(container.Config.Labels, { instance, role: 'server', server, spec })) return container
  throw new Error(`container ${name} exists and is not this generation: remove it, or choose another GATEWAY_INSTANCE`)
}

function explainRefusal(error: unknown): never {
  const folder = error instanceof EngineRefusal && /bind source path does not exist: (.*)$/.exec(error.message)?.[1]
  if (!folder) throw error
  throw new Error(`the machine has no folder ${folder}, which GATEWAY_MOUNTS offers`, { cause: error })
}
