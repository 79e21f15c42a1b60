import { setTimeout as pause } from 'node:timers/promises'
import { lastCalls } from '../host.ts'
import { grace } from './container.ts'
import { type Engine, type EngineContainer, EngineRefusal } from './engine.ts'
import { removeImages } from './image.ts'
import { labelsOf, mark } from './labels.ts'
import type { Estate } from './network.ts'
import { wrapperVolumes } from './stdio.ts'

/** Looks again so often, so many ms apart: an engine goes on making what it was asked for by who has given up meanwhile. */
const mostLooks = 20
const betweenLooks = 500

/** Removes everything of an instance; volumes only if asked. */
export async function takeDown(
  estate: Estate,
  { volumes }: { readonly volumes: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { engine, instance } = estate
  for (let looks = 1; !(await isCleared(estate, looks === mostLooks, signal)); looks++)
    await pause(betweenLooks, undefined, { signal })
  await removeImages(estate, {}, signal)
  const all = volumes ? engine.volumes(labelsOf({ instance }), signal) : wrapperVolumes(estate, signal)
  for (const name of await all) await engine.removeVolume(name, signal)
}

/** Removes containers and networks; false where something was made meanwhile, which the last time is an error. */
async function isCleared(estate: Estate, isLast: boolean, signal: AbortSignal): Promise<boolean> {
  const { engine } = estate
  await removeContainers(engine, await removable(estate, signal), signal)
  try {
    for (const { Id, Labels } of await engine.networks(signal))
      if (mark(Labels, 'instance') === estate.instance) await engine.removeNetwork(Id, signal)
  } catch (error) {
    if (!isLast && isInUse(error)) return false
    throw error
  }
  const late = await removable(estate, signal)
  if (isLast && late.length > 0) throw new Error(`containers are made anew: ${late.map(({ Name }) => Name).join(', ')}`)
  return late.length === 0
}

async function removable({ engine, instance }: Estate, signal: AbortSignal): Promise<readonly EngineContainer[]> {
  return (await engine.containers(labelsOf({ instance }), signal)).filter(isRemovable)
}

async function removeContainers(engine: Engine, units: readonly EngineContainer[], signal: AbortSignal): Promise<void> {
  const proxies = units.filter(({ Config }) => mark(Config.Labels, 'role') === 'proxy')
  await Promise.all(proxies.map(({ Id }) => engine.stopContainer(Id, lastCalls / 1_000, signal)))
  await Promise.all(units.map(({ Id }) => engine.stopContainer(Id, grace, signal)))
  for (const { Id } of units) await engine.removeContainer(Id, 'even running', signal)
}

/** A network that a container runs in is not removed. */
function isInUse(error: unknown): boolean {
  return error instanceof EngineRefusal && error.status === 403
}

/** Not the controller itself, nor what somebody runs from an image of ours: that has no role, as has what never ran. */
function isRemovable({ Config, State }: EngineContainer): boolean {
  const role = mark(Config.Labels, 'role')
  return role === undefined ? State.Status === 'created' : role !== 'controller'
}
