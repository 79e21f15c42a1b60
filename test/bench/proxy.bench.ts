import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { z } from 'zod'
import { agentWith, as, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { freePort, openProxyProcess } from '../support/proxy-process.ts'
import { openTableServer } from '../support/table-server.ts'
import { until } from '../support/until.ts'

/**
 * What a call costs through the proxy: the same call direct, at /mcp/<server> and at /mcp, in turns within one run, so that what else
 * the machine does hits all alike. `node test/bench/proxy.bench.ts [seconds] [connections]`
 */

const [seconds = '4', connections = '16'] = process.argv.slice(2)
const rounds = 3

const autocannon = fileURLToPath(new URL('../../node_modules/autocannon/autocannon.js', import.meta.url))
const Result = z.object({
  requests: z.object({ average: z.number() }),
  latency: z.object({ p50: z.number(), p99: z.number() }),
  non2xx: z.number(),
  errors: z.number(),
})

async function fire(url: string, name: string): Promise<z.infer<typeof Result>> {
  const body = JSON.stringify(rpc('tools/call', { name, arguments: { text: 'hello' } }))
  const headers = { ...as('a'), 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const flags = Object.entries(headers).flatMap(([key, value]) => ['-H', `${key}: ${value}`])
  const asked = ['-j', '-n', '-c', connections, '-d', seconds, '-m', 'POST', '-b', body, ...flags, url]
  const { stdout } = await promisify(execFile)(process.execPath, [autocannon, ...asked])
  return Result.parse(JSON.parse(stdout))
}

async function openServer(kind: string) {
  const program = fileURLToPath(new URL('upstream.ts', import.meta.url))
  const child = spawn(process.execPath, [program, kind], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await createInterface(child.stdout)[Symbol.asyncIterator]().next()
  return {
    origin: `http://127.0.0.1:${String(port.value)}`,
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await once(child, 'exit')
    },
  }
}

async function compare(kind: string): Promise<void> {
  await using server = await openServer(kind)
  await using controller = await openTableServer()
  const state = await mkdtemp(join(tmpdir(), 'bench-'))
  const port = await freePort()
  const environment = { LOG_LEVEL: 'info' }
  await using proxy = await openProxyProcess({ name: 'bench', port, socket: controller.socket, state, environment })
  const servers = { s: serverAt('s', server.origin) }
  const agents = { a: agentWith('a', { s: wholeGrant }) }
  controller.publish({ revision: 1, grantsFile: 'bench', agents, servers, starting: [], draining: [] })
  await until('the server is known', () => controller.latest.get('bench')?.generations[servers.s.generation]?.probe?.ok)
  const ways = [
    ['direct', `${server.origin}/mcp`, 'echo'],
    ['/mcp/<server>', `${proxy.url}/mcp/s`, 'echo'],
    ['/mcp', `${proxy.url}/mcp`, 's__echo'],
  ] as const
  const results = new Map<string, z.infer<typeof Result>[]>(ways.map(([way]) => [way, []]))
  for (let round = 0; round <= rounds; round++)
    for (const [way, url, name] of ways) {
      const result = await fire(url, name)
      if (result.errors + result.non2xx > 0)
        throw new Error(`${way}: ${result.errors} errors, ${result.non2xx} not 2xx`)
      if (round > 0) results.get(way)?.push(result)
    }
  show(kind, results)
  await rm(state, { recursive: true, force: true })
}

const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

function show(kind: string, results: ReadonlyMap<string, readonly z.infer<typeof Result>[]>): void {
  const direct = median(results.get('direct')?.map(({ requests }) => requests.average) ?? [])
  const rows = [...results].map(([way, list]) => {
    const rate = median(list.map(({ requests }) => requests.average))
    const [p50, p99] = [median(list.map(({ latency }) => latency.p50)), median(list.map(({ latency }) => latency.p99))]
    return {
      server: kind,
      way,
      'calls/s': Math.round(rate),
      'of direct': `${Math.round((100 * rate) / direct)} %`,
      'p50 ms': p50,
      'p99 ms': p99,
    }
  })
  console.table(rows)
}

for (const kind of ['plain', 'sdk']) await compare(kind)
