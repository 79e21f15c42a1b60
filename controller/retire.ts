import { acknowledged, drained } from './gate.ts'
import { generationKey, type ObservedGeneration } from './host.ts'
import { forgetGeneration } from './routes.ts'
import type { RunTarget } from './step.ts'
import type { Progress, World } from './world.ts'

/** Drains and stops what runs beside the target, and keeps one of what is stopped. */
export async function retireOthers(target: RunTarget, world: World, progress: Progress): Promise<void> {
  const { server, generation } = target
  progress.say('draining the previous generation', false)
  for (const other of await others(target, world, progress.signal))
    await stopDrained(other, { limit: server.drain, unless: generation.spec }, world, progress)
  await keepOne(server.name, generation.spec, world, progress.signal)
}

/** Drains and stops what runs beside the target, which does not run yet. */
export async function stopOthers(target: RunTarget, world: World, progress: Progress): Promise<void> {
  for (const other of await others(target, world, progress.signal))
    await stopDrained(other, { limit: target.server.drain }, world, progress)
}

async function others(
  { server, generation }: RunTarget,
  { host }: World,
  signal: AbortSignal,
): Promise<ObservedGeneration[]> {
  const { generations } = await host.observe(signal)
  return generations.filter(
    (other) => other.server === server.name && other.spec !== generation.spec && other.state === 'running',
  )
}

export interface Drain {
  /** How long it may finish its calls, ms. */
  readonly limit: number
  /** Spec of what took its place: while that does not run there are other things to do first. */
  readonly unless?: string
}

/** Once no proxy sends it calls any more, lets a generation finish what it has, and stops it. */
export async function stopDrained(
  { id, server, spec }: ObservedGeneration,
  { limit, unless }: Drain,
  world: World,
  { say, signal }: Progress,
): Promise<void> {
  const key = generationKey(server, spec)
  await acknowledged(world, { say: (doing) => say(doing, false), signal })
  const place = unless === undefined ? undefined : { server, spec: unless }
  if (!(await drained(key, { limit, place }, world, signal))) return
  await world.host.stop(id, signal)
  world.publisher.publish((draft) => forgetGeneration(draft, key))
}

/** Of the generations that do not run, the newest that did not fail stays for a way back. */
export async function keepOne(server: string, spec: string, world: World, signal: AbortSignal): Promise<void> {
  const { generations } = await world.host.observe(signal)
  const failed = new Set(world.journal.failures().map((failure) => `${failure.server}@${failure.spec}`))
  const stopped = generations.filter(
    (other) => other.server === server && other.spec !== spec && other.state !== 'running',
  )
  const isGood = (one: ObservedGeneration) => !failed.has(generationKey(server, one.spec))
  const [kept] = stopped.filter(isGood).toSorted((a, b) => b.startedAt - a.startedAt)
  for (const old of stopped) if (old !== kept) await world.host.remove(old.id, signal)
}
