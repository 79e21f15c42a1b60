import type { ListedServer } from '#manifests/lock.ts'
import type { Table } from '#manifests/table.ts'
import { suggestion } from './compile/nearest.ts'
import { Refused } from './controller.ts'
import type { Publisher } from './publish.ts'

/** ms for a proxy to say what a server's tools are. */
const within = 5_000

/** The tools of the servers that a table has, or of one of them, as proxies see them. Throws `Refused` for one that is not there. */
export async function listTools(
  publisher: Pick<Publisher, 'table' | 'define'>,
  server: string | undefined,
  signal: AbortSignal,
): Promise<readonly ListedServer[]> {
  const servers = publisher.table?.servers ?? {}
  const names = Object.keys(servers).sort()
  if (server !== undefined && !names.includes(server)) {
    const near = suggestion(server, names) || ` (there are: ${names.join(', ') || 'none'})`
    throw new Refused(`no server "${server}" is served${near}`)
  }
  const wanted = server === undefined ? names : [server]
  return await Promise.all(wanted.map((name) => listServer(name, servers[name], publisher, signal)))
}

async function listServer(
  server: string,
  route: Table['servers'][string] | undefined,
  publisher: Pick<Publisher, 'define'>,
  signal: AbortSignal,
): Promise<ListedServer> {
  if (route?.upstream === undefined) return { server, error: 'nothing of it serves now' }
  const tools = await publisher.define(route.generation, within, signal)
  if (tools === undefined) return { server, error: 'no proxy says what its tools are' }
  return { server, tools: [...tools].sort((a, b) => (a.name < b.name ? -1 : 1)) }
}
