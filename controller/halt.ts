import type { Host } from './host.ts'

/** Stops all that runs, servers and proxies before the edge that they stand on, and removes nothing. */
export async function halt(host: Host, signal: AbortSignal): Promise<void> {
  const { edge, proxies, generations } = await host.observe(signal)
  const running = [...generations, ...proxies].filter(({ state }) => state === 'running')
  await Promise.all(running.map(({ id }) => host.stop(id, signal)))
  if (edge?.state === 'running') await host.stop(edge.id, signal)
}
