import type { Sight } from './host.ts'
import type { Step } from './step.ts'
import type { Progress, World } from './world.ts'

export type GatewayStep = Extract<Step, { do: 'edge' | 'proxy' }>

/** Time for a new proxy to take the table, ms. */
const proxyStart = 60_000

/** Time for a proxy that leaves to finish its calls, ms: a little more than it takes itself. */
const proxyLeave = 70_000

/** Raises edge and proxy as the steps say: the product's image, then edge, then a proxy beside those that run. */
export async function raiseGateway(steps: readonly GatewayStep[], world: World, progress: Progress): Promise<void> {
  progress.say('building the gateway')
  const log = world.buildLog('gateway')
  await world.builds.take(() => world.host.prepare(log, progress.signal), progress.signal)
  for (const step of steps) {
    progress.say(`${step.do}: ${step.because}`)
    if (step.do === 'edge') await world.host.startEdge(progress.signal)
    else await replaceProxy(world, progress)
  }
}

async function replaceProxy(world: World, { say, signal }: Progress): Promise<void> {
  const { host } = world
  for (const { id } of strandedProxies(await host.observe(signal))) {
    await host.stop(id, signal)
    await host.remove(id, signal)
  }
  await host.startProxy(signal)
  say('waiting until the new proxy has the table')
  await takesTable(world, signal)
  const { proxies } = await host.observe(signal)
  say('waiting until the old proxy has finished its calls')
  for (const { id } of proxies.filter(({ spec }) => spec !== host.wanted.proxy)) {
    await host.stop(id, signal, proxyLeave)
    await host.remove(id, signal)
  }
}

/** A proxy that does not run, or that stands in the network of an edge that is no more. */
function strandedProxies({ edge, proxies }: Sight): Sight['proxies'] {
  return proxies.filter(
    ({ state, startedAt }) => state !== 'running' || (edge !== undefined && startedAt < edge.startedAt),
  )
}

async function takesTable({ host, publisher }: World, signal: AbortSignal): Promise<void> {
  const until = Date.now() + proxyStart
  for (;;) {
    const { proxies } = await host.observe(signal)
    const current = proxies.find(({ spec }) => spec === host.wanted.proxy)
    if (current?.state !== 'running') throw new Error(`the new proxy stopped${await lastWords(host, current, signal)}`)
    const have = publisher.heard.get(current.name)?.report.have
    if (publisher.table === undefined || (have !== undefined && have >= publisher.table.revision)) return
    if (Date.now() > until) throw new Error(`the new proxy ${current.name} has not taken the table within 60 s`)
    await publisher.changed(500, signal)
    signal.throwIfAborted()
  }
}

/** The last line of its output that is not a stack's, after a colon. */
async function lastWords(host: World['host'], proxy: { readonly id: string } | undefined, signal: AbortSignal) {
  const log = proxy === undefined ? '' : await host.logs(proxy.id, 20, signal)
  const last = log.split('\n').findLast((line) => /^\S/.test(line))
  return last === undefined ? ' as soon as it was started' : `: ${last}`
}
