import type { TableServer } from '#manifests/table.ts'
import type { BuildInput, Server, Tree } from './desired.ts'
import { acknowledged, drained, find, NotReady, passGate } from './gate.ts'
import { type BuildEntry, generationKey, type Host, type ObservedGeneration } from './host.ts'
import type { Journal } from './journal.ts'
import type { Step } from './plan.ts'
import type { Publisher } from './publish.ts'
import {
  type Draft,
  forgetGeneration,
  withoutUpstream,
  withReturning,
  withServing,
  withStarting,
  withUpstream,
} from './routes.ts'
import type { Turn } from './turn.ts'

export type Roll = Extract<Step, { do: 'roll' }>

/** What steps act with. */
export interface World {
  readonly host: Host
  readonly publisher: Publisher
  readonly journal: Journal
  /** One build at a time. */
  readonly builds: Turn
  readonly buildLog: (server: string, line: string) => void
  /** Gives the draft every grant whose server is ready by now. */
  readonly admit: (draft: Draft) => Draft
}

export interface Progress {
  readonly say: (doing: string) => void
  readonly signal: AbortSignal
}

/** Where the build input comes from, and what must stand before a server starts. */
export interface Origin {
  readonly tree: Tree
  /** Resolves once edge and proxy stand; throws `HostDown` while they cannot. */
  readonly gateway: () => Promise<void>
}

/** Build, start, gate, cut over, drain, stop. What served before serves until the new generation does, unless they share a volume. */
export async function rollOut(step: Roll, from: Origin, world: World, progress: Progress): Promise<void> {
  const { target } = step
  const { server, generation } = target
  if (generation.image.kind === 'built' && step.build)
    await build(server.name, generation.image.input, { tree: from.tree, world, progress })
  await from.gateway()
  try {
    if (step.order === 'stop-first') await makeWay(step, world, progress)
    progress.say('starting')
    await world.host.start(generation, progress.signal)
    world.journal.remember(generation.spec, target.parts)
    await cutOver(step, world, progress)
  } catch (error) {
    if (!progress.signal.aborted) await giveUp(step, world, progress)
    throw error
  }
  world.journal.recover(server.name)
  await retireOthers(step, world, progress)
}

async function build(
  server: string,
  input: BuildInput,
  { tree, world, progress }: { tree: Tree; world: World; progress: Progress },
): Promise<void> {
  progress.say('waiting for another build')
  await world.builds.take(async () => {
    progress.say('building')
    const log = (line: string) => world.buildLog(server, line)
    await world.host.build(
      { server, input, entries: (signal) => readEntries(tree, input, signal), log },
      progress.signal,
    )
  }, progress.signal)
}

/** The files of a build input, read from the tree in order. */
export async function* readEntries(tree: Tree, input: BuildInput, signal: AbortSignal): AsyncIterable<BuildEntry> {
  let next = 0
  const { files } = input
  for await (const body of tree.read(
    files.map(({ oid }) => oid),
    signal,
  )) {
    const file = files[next++]
    if (file !== undefined) yield { path: file.path, mode: file.mode, body }
  }
}

async function cutOver({ target }: Roll, world: World, progress: Progress): Promise<void> {
  const { server, generation } = target
  const started = find(await world.host.observe(progress.signal), server.name, generation.spec)
  const upstream = started?.upstream
  if (upstream === undefined) throw new NotReady('it stopped as soon as it was started')
  world.publisher.publish((draft) => withStarting(draft, target, upstream))
  progress.say('waiting until it is ready')
  await passGate(server, generation.spec, world, progress.signal)
  const revision = world.publisher.publish((draft) => world.admit(withServing(draft, target, upstream)))
  await acknowledged(revision, world, progress)
}

/** Before a generation that shares a volume starts, what runs must have ended: calls wait at the proxies meanwhile. */
async function makeWay({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  progress.say('stopping the previous generation')
  const revision = world.publisher.publish((draft) => withoutUpstream(draft, server))
  await acknowledged(revision, world, progress)
  for (const other of await others(server, target.generation.spec, world, progress.signal))
    await stopDrained(other, target.server.drain, world, progress.signal)
}

/** Takes back a generation that failed, and starts again what served before if that had to stop for it. */
async function giveUp({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  const { signal } = progress
  const failed = find(await world.host.observe(signal), server, target.generation.spec)
  const key = generationKey(server, target.generation.spec)
  const serving = world.publisher.table?.servers[server]
  world.publisher.publish((draft) => forgetGeneration(draft, key))
  if (serving?.generation === key) return
  if (failed !== undefined) await world.host.stop(failed.id, signal)
  if (serving !== undefined && serving.upstream === undefined) await restore(target.server, serving, world, progress)
}

async function restore(server: Server, serving: TableServer, world: World, progress: Progress): Promise<void> {
  const { signal } = progress
  const isServing = ({ server: name, spec }: ObservedGeneration) => generationKey(name, spec) === serving.generation
  const previous = (await world.host.observe(signal)).generations.find(isServing)
  if (previous === undefined) return
  await world.host.resume(previous.id, signal)
  const upstream = (await world.host.observe(signal)).generations.find(isServing)?.upstream
  if (upstream === undefined) return
  progress.say('waiting until what served before is ready again')
  world.publisher.publish((draft) => withReturning(draft, server.name, upstream))
  await passGate(server, previous.spec, world, signal).catch((error: unknown) => {
    if (!(error instanceof NotReady)) throw error
  })
  world.publisher.publish((draft) => withUpstream(draft, server.name, upstream))
}

async function retireOthers({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  progress.say('draining the previous generation')
  for (const other of await others(server, target.generation.spec, world, progress.signal))
    await stopDrained(other, target.server.drain, world, progress.signal)
  await keepOne(server, target.generation.spec, world, progress.signal)
}

async function others(
  server: string,
  spec: string,
  { host }: World,
  signal: AbortSignal,
): Promise<ObservedGeneration[]> {
  const { generations } = await host.observe(signal)
  return generations.filter((other) => other.server === server && other.spec !== spec && other.state === 'running')
}

/** Lets a generation that no longer serves finish what it has, for at most `limit` ms, and stops it. */
export async function stopDrained(
  { id, server, spec }: ObservedGeneration,
  limit: number,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const key = generationKey(server, spec)
  await drained(key, limit, world, signal)
  await world.host.stop(id, signal)
  world.publisher.publish((draft) => forgetGeneration(draft, key))
}

/** Of the generations that do not run, the newest stays for a way back. */
export async function keepOne(server: string, spec: string, { host }: World, signal: AbortSignal): Promise<void> {
  const { generations } = await host.observe(signal)
  const stopped = generations.filter(
    (other) => other.server === server && other.spec !== spec && other.state !== 'running',
  )
  for (const old of stopped.toSorted((a, b) => b.startedAt - a.startedAt).slice(1)) await host.remove(old.id, signal)
}
