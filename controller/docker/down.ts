import { lastCalls } from '../host.ts'
import { grace } from './container.ts'
import type { EngineContainer } from './engine.ts'
import { removeImages } from './image.ts'
import { labelsOf, mark } from './labels.ts'
import type { Estate } from './network.ts'
import { wrapperVolumes } from './stdio.ts'

/** Removes everything of an instance, whose containers these are; volumes only if asked. */
export async function takeDown(
  estate: Estate,
  containers: readonly EngineContainer[],
  { volumes }: { readonly volumes: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { engine, instance } = estate
  const units = containers.filter(isRemovable)
  const proxies = units.filter(({ Config }) => mark(Config.Labels, 'role') === 'proxy')
  await Promise.all(proxies.map(({ Id }) => engine.stopContainer(Id, lastCalls / 1_000, signal)))
  await Promise.all(units.map(({ Id }) => engine.stopContainer(Id, grace, signal)))
  for (const { Id } of units) await engine.removeContainer(Id, 'even running', signal)
  for (const { Id, Labels } of await engine.networks(signal))
    if (mark(Labels, 'instance') === instance) await engine.removeNetwork(Id, signal)
  await removeImages(estate, {}, signal)
  const all = volumes ? engine.volumes(labelsOf({ instance }), signal) : wrapperVolumes(estate, signal)
  for (const name of await all) await engine.removeVolume(name, signal)
}

/** Not the controller itself, nor what somebody runs from an image of ours: that has no role, as has what never ran. */
function isRemovable({ Config, State }: EngineContainer): boolean {
  const role = mark(Config.Labels, 'role')
  return role === undefined ? State.Status === 'created' : role !== 'controller'
}
