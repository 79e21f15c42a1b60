import { setTimeout as pause } from 'node:timers/promises'
import type { Standby } from '#manifests/table.ts'
import { find, lasts, NotReady, passGate } from './gate.ts'
import { generationKey, HostDown, type ObservedGeneration } from './host.ts'
import { healLimit } from './patience.ts'
import { forgetGeneration, withoutUpstream, withPrevious, withReturning, withUpstream } from './routes.ts'
import type { RunTarget } from './step.ts'
import type { Progress, Roll, World } from './world.ts'

/** Time for what served before to answer again, ms. */
const returnWithin = 60_000

/** The longest from one start of a unit to the next, ms: one that ends as soon as it is started may cost little. */
const mostBetweenStarts = 10_000

/** The author's fault: it came to serve, did not last, and what served before serves again. */
export class RolledBack extends Error {
  override readonly name = 'RolledBack'
}

/** Whether the step starts again the very generation that the table has: it may answer again, and is never taken back. */
export function isServing({ server, target }: Roll, { publisher }: World): boolean {
  return publisher.table?.servers[server]?.generation === generationKey(server, target.generation.spec)
}

/**
 * Watches a generation that has come to serve for `time` ms, while what served before still runs; switches back by one revision and
 * throws `RolledBack` if it does not last.
 */
export async function settleIn(target: RunTarget, time: number, world: World, progress: Progress): Promise<void> {
  const { server, generation } = target
  const previous = previousOf(target, world)
  if (time === 0 || previous === undefined) return
  const until = new Date(Date.now() + time).toISOString().slice(11, 19)
  progress.say(`bakes until ${until} UTC: what served before still runs`)
  try {
    await lasts(server.name, generation.spec, time, { ...world, signal: progress.signal })
  } catch (error) {
    if (!(error instanceof NotReady)) throw error
    await switchBack(target, previous, world, progress)
    throw new RolledBack(`rolled back: ${error.message}`, { cause: error })
  }
}

/** What served last before the target, if calls can still go to it. */
function previousOf({ server: { name }, generation }: RunTarget, { publisher }: World): Standby | undefined {
  return publisher.table?.draining.findLast(
    (standby) => standby.server === name && standby.generation !== generationKey(name, generation.spec),
  )
}

async function switchBack(target: RunTarget, previous: Standby, world: World, progress: Progress): Promise<void> {
  const { name } = target.server
  const { spec } = target.generation
  world.publisher.publish((draft) => withPrevious(draft, previous))
  const sight = await world.host.observe(progress.signal)
  const failed = find(sight, name, spec)
  if (failed?.state === 'running') await world.host.stop(failed.id, progress.signal)
  world.publisher.publish((draft) => forgetGeneration(draft, generationKey(name, spec)))
}

/** Takes back a generation that failed, and starts again what served before if that had to stop for it. */
export async function giveUp(step: Roll, world: World, progress: Progress, why: unknown): Promise<void> {
  const { server, target } = step
  const { spec } = target.generation
  try {
    const sight = await world.host.observe(progress.signal)
    const failed = find(sight, server, spec)
    world.publisher.publish((draft) => forgetGeneration(draft, generationKey(server, spec)))
    if (failed !== undefined && !isServing(step, world)) await world.host.stop(failed.id, progress.signal)
    const serving = world.publisher.table?.servers[server]
    if (serving === undefined || serving.upstream !== undefined) return
    const previous = sight.generations.find((one) => generationKey(one.server, one.spec) === serving.generation)
    if (previous === failed) reach(failed, world)
    else if (previous !== undefined) await startAgain(previous, world, progress)
  } catch (cause) {
    failTwice(why, cause)
  }
}

/** Starts again what the table has and ended by itself, and lets calls reach it. */
export async function resume(
  generation: ObservedGeneration,
  because: string,
  world: World,
  progress: Progress,
): Promise<void> {
  progress.say('starting it again')
  await startAfresh(generation.server, { ...generation, because }, world, progress)
  await startAgain(generation, world, progress)
  world.repairs.done(generation.server, because)
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

/** Calls wait for what the table has and ended by itself; it waits, too, and longer each time that it ends soon. */
export async function startAfresh(
  server: string,
  { spec, origin, because }: { readonly spec: string; readonly origin: string; readonly because: string },
  { host, publisher, journal, repairs }: World,
  { signal }: Progress,
): Promise<void> {
  const unit = find(await host.observe(signal), server, spec)
  if (unit?.state === 'running') return
  publisher.publish((draft) => withoutUpstream(draft, server))
  const since = Date.now() - healLimit.within
  const heals = journal.moves().filter((move) => move.kind === 'heal' && move.server === server && move.at > since)
  repairs.begin({ kind: 'heal', server, spec, commit: origin, because })
  const between = heals.length === 0 ? 0 : Math.min(mostBetweenStarts, 1_000 * 2 ** heals.length)
  const left = (unit?.startedAt ?? 0) + between - Date.now()
  await pause(Math.min(mostBetweenStarts, Math.max(0, left)), undefined, { signal })
}

/** What failed first is the reason; a host that is down hides nothing, for all of it is tried again. */
function failTwice(first: unknown, then: unknown): never {
  if (then instanceof HostDown) throw then
  const words = (error: unknown) => (error instanceof Error ? error.message : String(error))
  throw new Error(`${words(first)}; and what served before cannot be started again: ${words(then)}`, { cause: first })
}
