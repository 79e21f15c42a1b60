import { PackedTable, pack } from '#manifests/packed-table.ts'
import type { Table } from '#manifests/table.ts'
import { createHolder } from '../../proxy/holder.ts'
import { agentWith, as, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { type Figures, median, type Table as Shown, timed } from './figures.ts'
import { fire, mcpHeaders, modernCall } from './load.ts'
import { type OurProxy, openOurProxy, tableOf } from './our-proxy.ts'
import { cpuOf, memoryOf } from './process-cost.ts'
import { openUpstreams, type Upstreams } from './program.ts'

/** How what a proxy takes grows with its table, its servers' lists, their results, its streams and its sessions. */

const seconds = 2

export async function proxyGrowthBench(): Promise<Figures> {
  const agents = await agentsTable()
  return {
    tables: [agents.shown, await toolsTable(), await resultsTable(), await streamsTable()],
    ratios: agents.ratios,
  }
}

async function callCost(proxy: OurProxy, name = 's0__echo'): Promise<number> {
  const target = modernCall(`${proxy.url}/mcp`, name, as('a'))
  await fire(target, 16, 1)
  const before = cpuOf([proxy.pid])
  const { requests } = await fire(target, 16, seconds)
  return (cpuOf([proxy.pid]) - before) / requests.total
}

/** A table of 200 servers, all of one origin, and so many agents who may use ten of them each; `a` is one. */
function bigTable(origin: string, { agents, access }: Size): Pick<Table, 'agents' | 'servers'> {
  const names = Array.from({ length: 200 }, (_, index) => `s${index}`)
  const grants = (agent: number) =>
    Object.fromEntries(
      Array.from({ length: 10 }, (_, nth) => {
        const step = nth < 5 ? nth : nth + Math.floor(agent / names.length)
        return [`s${access === 'the same' ? nth : (agent + step) % names.length}`, wholeGrant]
      }),
    )
  const all = ['a', ...Array.from({ length: agents - 1 }, (_, index) => `b${index}`)]
  return {
    agents: Object.fromEntries(all.map((name, index) => [name, agentWith(name, grants(index))])),
    servers: Object.fromEntries(names.map((name) => [name, serverAt(name, origin)])),
  }
}

interface Size {
  readonly agents: number
  /** What an agent may use, beside what others may. */
  readonly access: 'the same' | 'its own'
}

const sizes: readonly Size[] = [
  { agents: 1, access: 'the same' },
  { agents: 100, access: 'the same' },
  { agents: 10_000, access: 'the same' },
  { agents: 10_000, access: 'its own' },
  { agents: 100_000, access: 'the same' },
]

async function agentsTable(): Promise<{ readonly shown: Shown; readonly ratios: Readonly<Record<string, number>> }> {
  await using upstreams = await openUpstreams('plain')
  const [origin = ''] = upstreams.origins
  const measured: (Size & Swap & { readonly cpu: number; readonly memory: number; readonly blocked: number })[] = []
  for (const size of sizes) {
    const table = bigTable(origin, size)
    await using proxy = await openOurProxy('warn', tableOf([origin]), 'watched')
    const blocked: number[] = []
    for (let time = 0; time < times; time++) blocked.push(await proxy.use(table))
    const cpu = await callCost(proxy)
    const memory = memoryOf([proxy.pid])
    measured.push({ ...size, cpu, memory, blocked: median(blocked), ...(await swapOf(table)) })
  }
  const [least, , many] = measured
  return {
    shown: {
      title: 'Agents in the table, beside 200 servers',
      about: `Agents who may use ten servers each, the same or each its own ten. CPU of a joint call at 16 connections, memory after ${times} tables and that load; what it takes to read a table and to put it in force in the place of another, and the longest time that the proxy can do nothing else from the table's arrival until it is in force and kept; medians of ${times}.`,
      columns: ['agents', 'servers', 'CPU µs a call', 'MB', 'read ms', 'swap ms', 'blocked ms'],
      rows: measured.map(({ agents, access, cpu, memory, read, swap, blocked }) => [
        agents,
        access,
        Math.round(cpu),
        Math.round(memory),
        ...[read, swap, blocked].map((ms) => ms.toFixed(1)),
      ]),
    },
    ratios: { 'CPU of a call with 10,000 agents beside one': (many?.cpu ?? 0) / (least?.cpu ?? 0) },
  }
}

const times = 5

/** ms. */
interface Swap {
  readonly read: number
  readonly swap: number
}

async function swapOf(table: Pick<Table, 'agents' | 'servers'>): Promise<Swap> {
  const holder = createHolder()
  const [reads, swaps]: [number[], number[]] = [[], []]
  for (let revision = 1; revision <= times; revision++) {
    const text = JSON.stringify(pack({ revision, grantsFile: 'bench', starting: [], draining: [], ...table }))
    const [packed, read] = await timed(() => PackedTable.parse(JSON.parse(text)))
    const [, swap] = await timed(() => holder.replace(packed))
    reads.push(read)
    swaps.push(swap)
  }
  return { read: median(reads), swap: median(swaps) }
}

async function toolsTable(): Promise<Shown> {
  const rows: (string | number)[][] = []
  for (const tools of [10, 100, 1_000, 10_000]) {
    await using upstreams = await openUpstreams('plain', { tools })
    await using proxy = await openOurProxy('warn', tableOf(upstreams.origins))
    const list = () => ask(proxy, rpc('tools/list'))
    const [first, again] = [await timed(list), await timed(list)]
    rows.push([tools, Math.round(first[1]), Math.round(again[1]), first[0].length, Math.round(await callCost(proxy))])
  }
  return {
    title: 'Tools of one server',
    about: 'The joint list for the first time and again, and a joint call at 16 connections.',
    columns: ['tools', 'list ms', 'again ms', 'bytes', 'CPU µs a call'],
    rows,
  }
}

async function resultsTable(): Promise<Shown> {
  await using upstreams: Upstreams = await openUpstreams('plain')
  const rows: (string | number)[][] = []
  for (const size of [1_000, 100_000, 1_000_000, 10_000_000]) {
    await using proxy = await openOurProxy('warn', tableOf(upstreams.origins))
    const call = rpc('tools/call', { name: 'echo', arguments: { text: '', size } })
    for (let warm = 0; warm < 20; warm++) await ask(proxy, call, '/mcp/s0')
    const [idle, before] = [memoryOf([proxy.pid]), cpuOf([proxy.pid])]
    const calls = size > 1_000_000 ? 40 : 400
    for (let done = 0; done < calls; done += 4)
      await Promise.all(Array.from({ length: 4 }, () => ask(proxy, call, '/mcp/s0')))
    const cpu = (cpuOf([proxy.pid]) - before) / calls
    rows.push([size, Math.round(cpu), Math.round(idle), Math.round(memoryOf([proxy.pid], 'VmHWM'))])
  }
  return {
    title: 'Bytes of a result',
    about:
      'Four calls at a time at /mcp/<server>; the most memory that it ever took beside what it had after twenty calls.',
    columns: ['bytes', 'CPU µs a call', 'MB before', 'MB most'],
    rows,
  }
}

async function ask(proxy: OurProxy, message: object, path = '/mcp'): Promise<string> {
  const headers = { ...mcpHeaders, ...as('a') }
  const answer = await fetch(proxy.url + path, { method: 'POST', headers, body: JSON.stringify(message) })
  const text = await answer.text()
  if (answer.status !== 200 || !text.includes('"result"')) throw new Error(`${answer.status} ${text.slice(0, 200)}`)
  return text
}

/** Legacy sessions, with their stream and without, of so many agents that nobody has more than a hundred. */
async function streamsTable(): Promise<Shown> {
  await using upstreams = await openUpstreams('plain')
  const rows: (string | number)[][] = []
  for (const [sessions, kind] of [
    [100, 'open'],
    [1_000, 'open'],
    [5_000, 'open'],
    [20_000, 'abandoned'],
  ] as const) {
    const { servers } = tableOf(upstreams.origins)
    const holders = Array.from({ length: Math.ceil(sessions / 100) }, (_, index) => `a${index}`)
    const agents = Object.fromEntries(holders.map((name) => [name, agentWith(name, { s0: wholeGrant })]))
    const all = { ...agents, a: agentWith('a', { s0: wholeGrant }) }
    await using proxy = await openOurProxy('warn', { servers, agents: all })
    await callCost(proxy)
    const idle = memoryOf([proxy.pid])
    await using stack = new AsyncDisposableStack()
    for (let begun = 0; begun < sessions; begun += 50)
      await Promise.all(
        holders.slice(0, 50).map((_, index) => begin(proxy, `a${(begun + index) % holders.length}`, kind, stack)),
      )
    const memory = memoryOf([proxy.pid])
    rows.push([`${sessions} ${kind}`, Math.round(idle), Math.round(memory), Math.round(await callCost(proxy))])
  }
  return {
    title: 'Sessions',
    about:
      'Legacy sessions at /mcp with a stream open each, and such as nobody ends: memory after a load, then with them; a joint call beside them.',
    columns: ['sessions', 'MB before', 'MB with them', 'CPU µs a call'],
    rows,
  }
}

async function begin(
  proxy: OurProxy,
  agent: string,
  kind: 'open' | 'abandoned',
  stack: AsyncDisposableStack,
): Promise<void> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
  const headers = { ...mcpHeaders, ...as(agent) }
  const options = { method: 'POST', headers, body: JSON.stringify(rpc('initialize', params)) }
  const answer = await fetch(`${proxy.url}/mcp`, options)
  await answer.text()
  const session = answer.headers.get('mcp-session-id')
  if (session === null) throw new Error(`no session: ${answer.status}`)
  if (kind === 'abandoned') return
  const stop = new AbortController()
  stack.defer(() => stop.abort())
  const listening = {
    headers: { ...headers, accept: 'text/event-stream', 'mcp-session-id': session },
    signal: stop.signal,
  }
  const stream = await fetch(`${proxy.url}/mcp`, listening)
  if (stream.status !== 200) throw new Error(`no stream: ${stream.status}`)
}
