import { type Host, lastCalls, type UnitState } from './host.ts'

/** Stops all that runs and removes nothing: proxies once their calls have ended, then servers, then the edge. */
export async function halt(host: Host, signal: AbortSignal): Promise<void> {
  const { edge, proxies, generations } = await host.observe(signal)
  const runs = ({ state }: { readonly state: UnitState }) => state === 'running'
  await Promise.all(proxies.filter(runs).map(({ id }) => host.stop(id, signal, lastCalls)))
  await Promise.all(generations.filter(runs).map(({ id }) => host.stop(id, signal)))
  if (edge?.state === 'running') await host.stop(edge.id, signal)
}
