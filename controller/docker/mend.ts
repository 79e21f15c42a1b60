import type { Generation } from '../host.ts'
import { limitsOf, unlessStopped } from './container.ts'
import { networksOf } from './drift.ts'
import type { Engine, EngineContainer } from './engine.ts'
import { labelsOf, type Marks } from './labels.ts'
import { type Estate, join } from './network.ts'

/** Gives a container with these marks its name back, where somebody took it: names are how another one is kept from being made. */
export async function nameAgain({ engine }: Estate, marks: Marks, name: string, signal: AbortSignal): Promise<void> {
  const there = await engine.containers(labelsOf(marks), signal)
  const [other] = there
  if (other !== undefined && there.every(({ Name }) => Name !== `/${name}`))
    await engine.renameContainer(other.Id, name, signal)
}

/** A container that was paused goes on, and one that the engine would not start again does so from now on. */
export async function wake(engine: Engine, { Id, State, HostConfig }: EngineContainer, signal: AbortSignal) {
  if (State.Status === 'paused') await engine.unpauseContainer(Id, signal)
  const policy = HostConfig.RestartPolicy?.Name
  if (policy !== undefined && policy !== unlessStopped.RestartPolicy.Name)
    await engine.updateContainer(Id, unlessStopped, signal)
}

/** Puts right in place what can be changed of a server's container that runs; calls under way go on. */
export async function mendServer(
  estate: Estate,
  container: EngineContainer,
  { limits }: Pick<Generation, 'limits'>,
  signal: AbortSignal,
): Promise<void> {
  const { engine } = estate
  await wake(engine, container, signal)
  await stand(estate, container, signal)
  const { Memory, NanoCpus, PidsLimit } = container.HostConfig
  const wanted = limitsOf(limits)
  if (Memory !== wanted.Memory || NanoCpus !== wanted.NanoCpus || PidsLimit !== wanted.PidsLimit)
    await engine.updateContainer(container.Id, wanted, signal)
}

/** On its server's network, on the way out where it has one, and on no other. */
export async function stand(estate: Estate, container: EngineContainer, signal: AbortSignal): Promise<void> {
  const wanted = networksOf(estate.instance, container)
  await join(estate, container, wanted, signal)
  for (const name of Object.keys(container.NetworkSettings.Networks))
    if (!wanted.includes(name)) await estate.engine.disconnect(name, container.Id, signal)
}
