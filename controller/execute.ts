import type { Tree } from './desired.ts'
import { find } from './gate.ts'
import { type GatewayStep, raiseGateway } from './gateway.ts'
import { targetKey } from './generation.ts'
import { BuildFailed, generationKey, HostDown } from './host.ts'
import type { Lanes, Work } from './lanes.ts'
import { type Aim, itself, type Step } from './plan.ts'
import { isServing, keepOne, type Progress, type Roll, resume, rollOut, stopDrained, type World } from './rollout.ts'
import { BlobFault } from './source/git-blobs.ts'

/** The lane of edge and proxy. */
export const gatewayLane = itself

/** How long a server that is no longer wanted may finish its calls, ms. */
const removalDrain = 60_000

type ServerStep = Extract<Step, { do: 'roll' | 'resume' | 'retire' | 'remove' }>

/** Puts each step into the lane of its server; decides nothing. A failed step ends its lane's work and no other. */
export function execute(
  steps: readonly Step[],
  { aim, tree }: { aim: Aim; tree: Tree },
  world: World,
  lanes: Lanes,
): void {
  const gateway = steps.filter((step): step is GatewayStep => step.do === 'edge' || step.do === 'proxy')
  if (gateway.length > 0) enterGateway(gateway, { aim, tree }, world, lanes)
  const byServer = Map.groupBy(steps.filter(isServerStep), ({ server }) => server)
  for (const lane of lanes.runs.keys()) if (isUnwanted(lane, aim, { lanes, byServer })) lanes.leave(lane)
  for (const [server, work] of byServer)
    lanes.enter(server, identity(server, aim), serverWork(work, { tree, lanes }, world))
}

function isServerStep(step: Step): step is ServerStep {
  return step.do === 'roll' || step.do === 'resume' || step.do === 'retire' || step.do === 'remove'
}

function enterGateway(
  steps: readonly GatewayStep[],
  { aim, tree }: { aim: Aim; tree: Tree },
  world: World,
  lanes: Lanes,
): void {
  const { commit, settings } = aim
  const { address, proxy } = world.host.wantedFrom(settings.product)
  const course = { commit, image: settings.product, tree }
  lanes.enter(gatewayLane, `${address} ${proxy}`, (say, signal) => raiseGateway(steps, course, world, { say, signal }))
}

function identity(server: string, aim: Aim): string {
  const target = aim.targets[server]
  return target === undefined ? 'removed' : (targetKey(target) ?? 'held')
}

/** What runs for a generation that the commit does not ask for ends, even where nothing takes its place. */
function isUnwanted(
  lane: string,
  aim: Aim,
  { lanes, byServer }: { lanes: Lanes; byServer: ReadonlyMap<string, readonly ServerStep[]> },
): boolean {
  return lane !== gatewayLane && !byServer.has(lane) && lanes.runs.get(lane)?.identity !== identity(lane, aim)
}

function serverWork(steps: readonly ServerStep[], { tree, lanes }: { tree: Tree; lanes: Lanes }, world: World): Work {
  return async (say, signal) => {
    const progress: Progress = { say, signal }
    for (const step of steps) {
      if (step.do === 'roll') await roll(step, { tree, lanes }, world, progress)
      else if (step.do === 'resume') await resume(step.generation, world, progress)
      else if (step.do === 'retire') await retire(step, world, progress)
      else await remove(step.server, world, progress)
    }
  }
}

async function roll(
  step: Roll,
  { tree, lanes }: { tree: Tree; lanes: Lanes },
  world: World,
  progress: Progress,
): Promise<void> {
  try {
    await rollOut(step, { tree, gateway: () => gatewayUp(lanes, world, progress) }, world, progress)
  } catch (error) {
    if (progress.signal.aborted || isOurs(error) || isServing(step, world)) throw error
    await recordFailure(step, error, world, progress.signal)
  }
}

/** No fault of the commit: the host is down, or its files could not be read. */
function isOurs(error: unknown): boolean {
  return error instanceof HostDown || error instanceof BlobFault
}

async function gatewayUp(lanes: Lanes, { host }: World, { say, signal }: Progress): Promise<void> {
  say('waiting for edge and proxy')
  await lanes.settled(gatewayLane, signal)
  const { edge } = await host.observe(signal)
  if (edge?.state !== 'running') throw new HostDown('edge does not run')
}

/** The author's fault: kept with the last lines of output, and not tried again until a new commit. */
async function recordFailure(
  { server, target }: Roll,
  error: unknown,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const { spec, origin } = target.generation
  const log = error instanceof BuildFailed ? error.tail : await lastLines(server, spec, world, signal).catch(() => '')
  const reason = error instanceof Error ? error.message : String(error)
  world.journal.fail({ server, spec, commit: origin, reason, log })
}

async function lastLines(server: string, spec: string, { host }: World, signal: AbortSignal): Promise<string> {
  const failed = find(await host.observe(signal), server, spec)
  return failed === undefined ? '' : host.logs(failed.id, 20, signal)
}

async function retire(step: Extract<Step, { do: 'retire' }>, world: World, progress: Progress): Promise<void> {
  progress.say(`stopping ${generationKey(step.server, step.generation.spec.slice(0, 8))}: ${step.because}`)
  await stopDrained(step.generation, removalDrain, world, progress)
  const serving = world.publisher.table?.servers[step.server]?.generation.split('@')[1]
  await keepOne(step.server, serving ?? '', world, progress.signal)
}

async function remove(server: string, world: World, progress: Progress): Promise<void> {
  const { host } = world
  progress.say('removing')
  const { generations } = await host.observe(progress.signal)
  for (const generation of generations.filter((one) => one.server === server)) {
    if (generation.state === 'running') await stopDrained(generation, removalDrain, world, progress)
    await host.remove(generation.id, progress.signal)
  }
  await host.forget(server, progress.signal)
  world.journal.recover(server)
}
