import { setTimeout as pause } from 'node:timers/promises'
import type { BuildInput, Tree } from './desired.ts'
import { acknowledged, drained, find, NotReady, passGate } from './gate.ts'
import { type BuildEntry, generationKey, type Host, HostDown, type ObservedGeneration } from './host.ts'
import type { Journal } from './journal/journal.ts'
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

/** Time for what served before to answer again, ms. */
const returnWithin = 60_000

export type Roll = Extract<Step, { do: 'roll' }>

/** From one start of a unit to the next, ms: one that ends as soon as it is started may cost little. */
const betweenStarts = 10_000

/** What steps act with. */
export interface World {
  readonly host: Host
  readonly publisher: Publisher
  readonly journal: Pick<Journal, 'remember' | 'recover' | 'fail'>
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
  if (isServing(step, world)) await calm(server.name, generation.spec, world, progress)
  try {
    if (step.order === 'stop-first') await makeWay(step, world, progress)
    progress.say('starting')
    await world.host.start(generation, progress.signal)
    world.journal.remember(generation.spec, target.parts)
    await cutOver(step, world, progress)
  } catch (error) {
    if (!progress.signal.aborted) await giveUp(step, world, progress).catch((cause) => failTwice(error, cause))
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
  world.publisher.publish((draft) => world.admit(withServing(draft, target, upstream)))
  await acknowledged(world, progress)
}

/** Before a generation that shares a volume starts, what runs must have ended: calls wait at the proxies meanwhile. */
async function makeWay({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  progress.say('stopping the previous generation')
  world.publisher.publish((draft) => withoutUpstream(draft, server))
  for (const other of await others(server, target.generation.spec, world, progress.signal))
    await stopDrained(other, target.server.drain, world, progress)
}

/** Takes back a generation that failed, and starts again what served before if that had to stop for it. */
async function giveUp(step: Roll, world: World, progress: Progress): Promise<void> {
  const { server, target } = step
  const { spec } = target.generation
  const sight = await world.host.observe(progress.signal)
  const failed = find(sight, server, spec)
  world.publisher.publish((draft) => forgetGeneration(draft, generationKey(server, spec)))
  if (failed !== undefined && !isServing(step, world)) await world.host.stop(failed.id, progress.signal)
  const serving = world.publisher.table?.servers[server]
  if (serving === undefined || serving.upstream !== undefined) return
  const previous = sight.generations.find((one) => generationKey(one.server, one.spec) === serving.generation)
  if (previous === failed) reach(failed, world)
  else if (previous !== undefined) await startAgain(previous, world, progress)
}

/** Whether the step starts again the very generation that the table has: it may answer again, and is never taken back. */
export function isServing({ server, target }: Roll, { publisher }: World): boolean {
  return publisher.table?.servers[server]?.generation === generationKey(server, target.generation.spec)
}

/** Starts again what the table has and ended by itself, and lets calls reach it. */
export async function resume(generation: ObservedGeneration, world: World, progress: Progress): Promise<void> {
  progress.say('starting it again')
  await calm(generation.server, generation.spec, world, progress)
  await startAgain(generation, world, progress)
}

/** Calls reach it once it answers; one that does not within its time is given them all the same, for there is no other. */
async function startAgain(
  { server, spec, id }: ObservedGeneration,
  world: World,
  { say, signal }: Progress,
): Promise<void> {
  await world.host.resume(id, signal)
  const resumed = find(await world.host.observe(signal), server, spec)
  const upstream = resumed?.upstream
  if (upstream === undefined) throw new NotReady('it stopped as soon as it was started again')
  say('waiting until what served before is ready again')
  world.publisher.publish((draft) => withReturning(draft, server, upstream))
  await passGate({ name: server, start: returnWithin }, spec, world, signal).catch((error: unknown) => {
    if (!(error instanceof NotReady)) throw error
  })
  reach(resumed, world)
}

function reach(generation: ObservedGeneration | undefined, { publisher }: World): void {
  const { server, upstream } = generation ?? {}
  if (server !== undefined && upstream !== undefined)
    publisher.publish((draft) => withUpstream(draft, server, upstream))
}

/** Calls wait for what the table has and ended by itself, and it waits if it was started only just now. */
async function calm(server: string, spec: string, { host, publisher }: World, { signal }: Progress): Promise<void> {
  const unit = find(await host.observe(signal), server, spec)
  if (unit?.state === 'running') return
  publisher.publish((draft) => withoutUpstream(draft, server))
  const left = (unit?.startedAt ?? 0) + betweenStarts - Date.now()
  await pause(Math.min(betweenStarts, Math.max(0, left)), undefined, { signal })
}

/** What failed first is the reason; a host that is down hides nothing, for all of it is tried again. */
function failTwice(first: unknown, then: unknown): never {
  if (then instanceof HostDown) throw then
  const words = (error: unknown) => (error instanceof Error ? error.message : String(error))
  throw new Error(`${words(first)}; and what served before cannot be started again: ${words(then)}`, { cause: first })
}

async function retireOthers({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  progress.say('draining the previous generation')
  for (const other of await others(server, target.generation.spec, world, progress.signal))
    await stopDrained(other, target.server.drain, world, progress)
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

/** Once no proxy sends it calls any more, lets a generation finish what it has, for at most `limit` ms, and stops it. */
export async function stopDrained(
  { id, server, spec }: ObservedGeneration,
  limit: number,
  world: World,
  progress: Progress,
): Promise<void> {
  const key = generationKey(server, spec)
  await acknowledged(world, progress)
  await drained(key, limit, world, progress.signal)
  await world.host.stop(id, progress.signal)
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
