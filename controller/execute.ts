import type { Aim } from './aim.ts'
import { isOurs, lastLines, recordFailure } from './blame.ts'
import type { Tree } from './desired.ts'
import { find } from './gate.ts'
import { type GatewayStep, raiseGateway } from './gateway.ts'
import { targetKey } from './generation.ts'
import { generationKey, HostDown } from './host.ts'
import type { Lanes, Work } from './lanes.ts'
import { keepOne, stopDrained } from './retire.ts'
import { isServing, RolledBack, resume, settleIn } from './retreat.ts'
import { rollOut } from './rollout.ts'
import { withoutUpstream } from './routes.ts'
import { itself, type Step } from './step.ts'
import type { Halt, Mend, Progress, Remove, Retire, Roll, World } from './world.ts'

/** The lane of edge and proxy. */
const gatewayLane = itself

/** How long a server that is no longer wanted may finish its calls, ms. */
const removalDrain = 60_000

type ServerStep = Extract<Step, { do: 'roll' | 'resume' | 'mend' | 'retire' | 'halt' | 'remove' }>

/** Puts each step into the lane of its server; decides nothing. A failed step ends its lane's work and no other. */
export function execute(
  steps: readonly Step[],
  { aim, tree }: { aim: Aim; tree: Tree },
  world: World,
  lanes: Lanes,
): void {
  const gateway = steps.filter(isGatewayStep).filter(({ do: what }) => what !== 'controller' || isLast(steps, lanes))
  if (gateway.length > 0) enterGateway(gateway, { aim, tree }, world, lanes)
  const byServer = Map.groupBy(steps.filter(isServerStep), ({ server }) => server)
  for (const lane of lanes.runs.keys()) if (isUnwanted(lane, aim, { lanes, byServer })) lanes.leave(lane)
  for (const [server, work] of byServer)
    lanes.enter(server, identity(server, aim), serverWork(work, { tree, lanes }, world))
}

function isGatewayStep(step: Step): step is GatewayStep {
  return step.do === 'edge' || step.do === 'proxy' || step.do === 'controller'
}

/** The controller is replaced once there is nothing else to do, and nothing of it is under way. */
function isLast(steps: readonly Step[], lanes: Lanes): boolean {
  const others = [...lanes.runs.keys()].filter((lane) => lane !== gatewayLane)
  return others.length === 0 && steps.every((step) => step.do === 'controller' || step.do === 'hold')
}

function isServerStep(step: Step): step is ServerStep {
  switch (step.do) {
    case 'roll':
    case 'resume':
    case 'mend':
    case 'retire':
    case 'halt':
    case 'remove':
      return true
    default:
      return false
  }
}

function enterGateway(
  steps: readonly GatewayStep[],
  { aim, tree }: { aim: Aim; tree: Tree },
  world: World,
  lanes: Lanes,
): void {
  const { commit, settings } = aim
  const { address, proxy, controller = '' } = world.host.wantedFrom(settings.product)
  const course = { commit, image: settings.product, tree }
  lanes.enter(gatewayLane, `${address} ${proxy} ${controller}`, (say, signal) =>
    raiseGateway(steps, course, world, { say, signal }),
  )
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
    for (const step of steps) await act(step, { tree, lanes }, world, progress)
  }
}

async function act(
  step: ServerStep,
  { tree, lanes }: { tree: Tree; lanes: Lanes },
  world: World,
  progress: Progress,
): Promise<void> {
  switch (step.do) {
    case 'roll':
      return roll(step, { tree, lanes }, world, progress)
    case 'resume':
      return resume(step.generation, step.because, world, progress)
    case 'mend':
      return mend(step, world, progress)
    case 'retire':
      return retire(step, world, progress)
    case 'halt':
      return halt(step, world, progress)
    case 'remove':
      return remove(step, world, progress)
    default:
      return step satisfies never
  }
}

async function roll(
  step: Roll,
  { tree, lanes }: { tree: Tree; lanes: Lanes },
  world: World,
  progress: Progress,
): Promise<void> {
  const began = performance.now()
  const tell = (outcome: 'done' | 'failed' | 'rolled-back') =>
    world.meters.rolled(step.server, outcome, (performance.now() - began) / 1_000)
  try {
    await rollOut(step, { tree, gateway: () => gatewayUp(lanes, world, progress) }, world, progress)
    tell('done')
  } catch (error) {
    if (progress.signal.aborted || isOurs(error) || isServing(step, world)) throw error
    tell(error instanceof RolledBack ? 'rolled-back' : 'failed')
    await recordFailure(step.target, error, world, progress.signal)
  }
}

async function gatewayUp(lanes: Lanes, { host }: World, { say, signal }: Progress): Promise<void> {
  say('waiting for edge and proxy')
  await lanes.settled(gatewayLane, signal)
  const { edge } = await host.observe(signal)
  if (edge?.state !== 'running') throw new HostDown('edge does not run')
}

/** What somebody changed while it ran is put right in place: the calls that it has go on. */
async function mend({ server, target, because }: Mend, world: World, { say, signal }: Progress): Promise<void> {
  say(`put right: ${because}`)
  const { spec, origin: commit } = target.generation
  world.repairs.begin({ kind: 'mend', server, spec, commit, because })
  await world.host.start(target.generation, signal)
  world.repairs.done(server, because)
}

async function retire(step: Retire, world: World, progress: Progress): Promise<void> {
  const { server, generation, bake } = step
  try {
    if (bake !== undefined) await settleIn(bake.target, bake.time, world, progress)
  } catch (error) {
    if (bake === undefined || !(error instanceof RolledBack)) throw error
    return recordFailure(bake.target, error, world, progress.signal)
  }
  progress.say(`stopping ${generationKey(server, generation.spec.slice(0, 8))}: ${step.because}`, false)
  const unless = bake === undefined ? {} : { unless: bake.target.generation.spec }
  await stopDrained(generation, { limit: bake?.target.server.drain ?? removalDrain, ...unless }, world, progress)
  const serving = world.publisher.table?.servers[server]?.generation.split('@')[1]
  await keepOne(server, serving ?? '', world, progress.signal)
}

/** What ends again and again is not started again, by the host neither; calls are told so. */
async function halt({ server, target, kind, because }: Halt, world: World, { say, signal }: Progress): Promise<void> {
  say(because)
  const { spec, origin } = target.generation
  const log = await lastLines(server, spec, world, signal).catch(() => '')
  world.journal.fail({ server, spec, commit: origin, kind, reason: because, log })
  world.journal.forgetMoves(server) // who tries it again begins to count anew
  const unit = find(await world.host.observe(signal), server, spec)
  if (kind === 'loop' || unit?.state !== 'running') return
  world.publisher.publish((draft) => withoutUpstream(draft, server))
  await world.host.stop(unit.id, signal)
}

async function remove({ server, change }: Remove, world: World, progress: Progress): Promise<void> {
  const { host } = world
  progress.say(change === 'stop' ? 'stopping: no longer in the commit' : 'removing', false)
  const { generations } = await host.observe(progress.signal)
  for (const generation of generations.filter((one) => one.server === server)) {
    if (generation.state === 'running') await stopDrained(generation, { limit: removalDrain }, world, progress)
    if (change === 'forget') await host.remove(generation.id, progress.signal)
  }
  if (change === 'stop') return keepOne(server, '', world, progress.signal)
  await host.forget(server, progress.signal)
  world.journal.recover(server)
}
