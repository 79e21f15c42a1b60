import { isOurs, kindOf } from './blame.ts'
import type { ImageSource, Tree } from './desired.ts'
import { NotReady } from './gate.ts'
import { BuildFailed, type Sight } from './host.ts'
import { readEntries } from './rollout.ts'
import { itself, type Step } from './step.ts'
import type { Progress, World } from './world.ts'

export type GatewayStep = Extract<Step, { do: 'edge' | 'proxy' | 'controller' }>

/** What the commit says that the gateway runs from, and where its files are. */
export interface Course {
  readonly commit: string
  readonly image: ImageSource | undefined
  readonly tree: Tree
}

/** Time for a new proxy to take the table, ms. */
const proxyStart = 60_000

/** Time for a proxy that leaves to finish its calls, ms: a little more than it takes itself. */
const proxyLeave = 70_000

/** Raises edge and proxy as the steps say: the product's image, then edge, then a proxy beside those that run. */
export async function raiseGateway(
  steps: readonly GatewayStep[],
  course: Course,
  world: World,
  progress: Progress,
): Promise<void> {
  try {
    await prepare(course, world, progress)
    for (const step of steps) {
      progress.say(`${step.do}: ${step.because}`)
      if (step.do === 'edge') await world.host.startEdge(progress.signal)
      else if (step.do === 'proxy') await replaceProxy(course, world, progress)
      else return await renew(course, world, progress)
      if (step.change !== 'replace') world.repairs.raised(step.do, step.because)
    }
    world.journal.recover(itself)
  } catch (error) {
    if (progress.signal.aborted || course.image === undefined || isOurs(error)) throw error
    if (!(await takeBack(course, world, progress))) throw error
    recordFailure(course, error, world)
  }
}

/** Removes the proxy that failed if another one serves; whether one does. */
async function takeBack({ image }: Course, { host }: World, { signal }: Progress): Promise<boolean> {
  const { proxies } = await host.observe(signal)
  const { proxy } = host.wantedFrom(image)
  if (!proxies.some(({ spec, state }) => spec !== proxy && state === 'running')) return false
  for (const { id } of proxies.filter(({ spec }) => spec === proxy)) {
    await host.stop(id, signal)
    await host.remove(id, signal)
  }
  return true
}

/** Kept, so that it is not tried again in vain. */
function recordFailure({ commit, image }: Course, error: unknown, { host, journal }: World): void {
  const reason = `the proxy stays as it is: ${error instanceof Error ? error.message : String(error)}`
  const log = error instanceof BuildFailed ? error.tail : ''
  journal.fail({ server: itself, spec: host.wantedFrom(image).proxy, commit, kind: kindOf(error), reason, log })
}

async function prepare({ image, tree }: Course, world: World, { say, signal }: Progress): Promise<void> {
  say('building the gateway')
  const log = world.buildLog(itself)
  const product = image && {
    image,
    entries: (reading: AbortSignal) => (image.kind === 'built' ? readEntries(tree, image.input, reading) : nothing()),
  }
  await world.builds.take(() => world.host.prepare(log, signal, product), signal)
}

async function* nothing() {}

async function replaceProxy({ image }: Course, world: World, { say, signal }: Progress): Promise<void> {
  const { host } = world
  const { proxy: wanted } = host.wantedFrom(image)
  for (const { id } of strandedProxies(await host.observe(signal))) {
    await host.stop(id, signal)
    await host.remove(id, signal)
  }
  await host.startProxy(signal, image)
  say('waiting until the new proxy has the table')
  await takesTable(wanted, world, signal)
  const { proxies } = await host.observe(signal)
  say('waiting until the old proxy has finished its calls')
  for (const { id } of proxies.filter(({ spec }) => spec !== wanted)) {
    await host.stop(id, signal, proxyLeave)
    await host.remove(id, signal)
  }
}

/** Where it succeeds, this controller ends meanwhile. */
async function renew({ commit, image }: Course, { host, journal }: World, { signal }: Progress): Promise<void> {
  const { controller: spec } = host.wantedFrom(image)
  if (image === undefined || spec === undefined) return
  const reason = `self-update refused: ${await host.renew(image, commit, signal)}`
  journal.fail({ server: itself, spec, commit, kind: 'refused', reason, log: '' })
}

/** A proxy that does not run, or that stands in the network of an edge that is no more. */
function strandedProxies({ edge, proxies }: Sight): Sight['proxies'] {
  return proxies.filter(
    ({ state, startedAt }) => state !== 'running' || (edge !== undefined && startedAt < edge.startedAt),
  )
}

async function takesTable(wanted: string, { host, publisher }: World, signal: AbortSignal): Promise<void> {
  const until = Date.now() + proxyStart
  for (;;) {
    const { proxies } = await host.observe(signal)
    const current = proxies.find(({ spec }) => spec === wanted)
    if (current?.state !== 'running')
      throw new NotReady(`the new proxy stopped${await lastWords(host, current, signal)}`)
    const have = publisher.heard.get(current.name)?.report.have
    if (publisher.table === undefined || (have !== undefined && have >= publisher.table.revision)) return
    if (Date.now() > until)
      throw new NotReady(`the new proxy has not taken the table within 60 s${await lastWords(host, current, signal)}`)
    await publisher.changed(500, signal)
    signal.throwIfAborted()
  }
}

/** The last line of its output that is not a stack's, after a colon. */
async function lastWords(host: World['host'], proxy: { readonly id: string } | undefined, signal: AbortSignal) {
  const log = proxy === undefined ? '' : await host.logs(proxy.id, 20, signal)
  const last = log.split('\n').findLast((line) => /^\S/.test(line))
  return last === undefined ? ', and says nothing' : `: ${last}`
}
