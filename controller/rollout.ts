import type { BuildInput, Tree } from './desired.ts'
import { acknowledged, find, NotReady, passGate } from './gate.ts'
import { type BuildEntry, BuildFailed, generationKey } from './host.ts'
import { retireOthers, stopOthers } from './retire.ts'
import { giveUp, isServing, settleIn, startAfresh } from './retreat.ts'
import { makeRoom } from './room.ts'
import { withoutUpstream, withServing, withStarting } from './routes.ts'
import type { Origin, Progress, Roll, World } from './world.ts'

/** Build, start, gate, cut over, bake, drain, stop. What served before serves until the new generation does, unless they share a volume. */
export async function rollOut(step: Roll, from: Origin, world: World, progress: Progress): Promise<void> {
  const { target } = step
  const { server, generation } = target
  if (generation.image.kind === 'built' && step.build)
    await build(server.name, generation.image.input, { tree: from.tree, world, progress })
  await from.gateway()
  const heals = isServing(step, world)
  if (heals) await startAfresh(server.name, { ...generation, because: step.because }, world, progress)
  try {
    if (step.order === 'stop-first') await makeWay(step, world, progress)
    const answers = await answersOf(step, world, progress.signal)
    progress.say('starting')
    await world.host.start(generation, progress.signal)
    world.journal.remember(generationKey(server.name, generation.spec), target.parts)
    await cutOver(step, answers, world, progress)
  } catch (error) {
    if (!progress.signal.aborted) await giveUp(step, world, progress, error)
    throw error
  }
  const { spec, origin: commit } = generation
  if (heals) world.repairs.done(server.name, step.because)
  else world.journal.move({ kind: 'roll', server: server.name, spec, commit, because: step.because })
  await settleIn(target, step.bake, world, progress)
  world.journal.recover(server.name)
  await retireOthers(step.target, world, progress)
}

async function build(
  server: string,
  input: BuildInput,
  { tree, world, progress }: { tree: Tree; world: World; progress: Progress },
): Promise<void> {
  progress.say('waiting for another build')
  await world.builds.take(async () => {
    await makeRoom(world.host, progress.signal)
    progress.say('building')
    const began = performance.now()
    const log = world.buildLog(server)
    const request = { server, input, entries: (signal: AbortSignal) => readEntries(tree, input, signal), log }
    const passed = () => (performance.now() - began) / 1_000
    try {
      await world.host.build(request, progress.signal)
      world.meters.built(server, 'done', passed())
    } catch (error) {
      if (error instanceof BuildFailed) world.meters.built(server, 'failed', passed())
      throw error
    }
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

/** Good answers that it must give; one that was removed and kept has given them before, and nobody is served meanwhile. */
async function answersOf({ server, order, target }: Roll, world: World, signal: AbortSignal): Promise<number> {
  const { publisher, journal, host } = world
  const isKnown = publisher.table?.servers[server] !== undefined
  if (order !== 'create' || isKnown || journal.failures().some((failure) => failure.server === server)) return 3
  const kept = find(await host.observe(signal), server, target.generation.spec)
  return kept?.state === 'exited' ? 1 : 3
}

async function cutOver({ target }: Roll, answers: number, world: World, progress: Progress): Promise<void> {
  const { server, generation } = target
  const started = find(await world.host.observe(progress.signal), server.name, generation.spec)
  const upstream = started?.upstream
  if (upstream === undefined) throw new NotReady('it stopped as soon as it was started')
  world.publisher.publish((draft) => withStarting(draft, target, upstream))
  progress.say('waiting until it is ready')
  await passGate({ ...server, answers }, generation.spec, world, progress.signal)
  world.publisher.publish((draft) => world.admit(withServing(draft, target, upstream)))
  await acknowledged(world, progress)
}

/** Before a generation that shares a volume starts, what runs must have ended: calls wait at the proxies meanwhile. */
async function makeWay({ server, target }: Roll, world: World, progress: Progress): Promise<void> {
  progress.say('stopping the previous generation')
  world.publisher.publish((draft) => withoutUpstream(draft, server))
  await stopOthers(target, world, progress)
}
