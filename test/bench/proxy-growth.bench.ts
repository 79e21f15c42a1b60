import { Table } from '#manifests/table.ts'
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
function bigTable(origin: string, agents: number): Pick<Table, 'agents' | 'servers'> {
  const names = Array.from({ length: 200 }, (_, index) => `s${index}`)
  const few = Object.fromEntries(names.slice(0, 10).map((name) => [name, wholeGrant]))
  const others = Array.from({ length: agents - 1 }, (_, index) => [`b${index}`, agentWith(`b${index}`, few)] as const)
  return {
    agents: Object.fromEntries([['a', agentWith('a', few)], ...others]),
    servers: Object.fromEntries(names.map((name) => [name, serverAt(name, origin)])),
  }
}

async function agentsTable(): Promise<{ readonly shown: Shown; readonly ratios: Readonly<Record<string, number>> }> {
  await using upstreams = await openUpstreams('plain')
  const [origin = ''] = upstreams.origins
  const measured: { agents: number; cpu: number; memory: number; parse: number; swap: number }[] = []
  for (const agents of [1, 100, 10_000, 100_000]) {
    const table = bigTable(origin, agents)
    await using proxy = await openOurProxy('warn', tableOf([origin]))
    await proxy.use(table)
    measured.push({ agents, cpu: await callCost(proxy), memory: memoryOf([proxy.pid]), ...(await swapOf(table)) })
  }
  const [least, , many] = measured
  return {
    shown: {
      title: 'Agents in the table, beside 200 servers',
      about: `CPU of a joint call at 16 connections, memory after load; what it takes to read a table and to put it in force in the place of another (nothing else happens in that time), medians of ${swaps}.`,
      columns: ['agents', 'CPU µs a call', 'MB', 'read ms', 'swap ms'],
      rows: measured.map(({ agents, cpu, memory, parse, swap }) => [
        agents,
        Math.round(cpu),
        Math.round(memory),
        parse.toFixed(1),
        swap.toFixed(1),
      ]),
    },
    ratios: { 'CPU of a call with 10,000 agents beside one': (many?.cpu ?? 0) / (least?.cpu ?? 0) },
  }
}

const swaps = 5

async function swapOf(table: Pick<Table, 'agents' | 'servers'>): Promise<{ parse: number; swap: number }> {
  const holder = createHolder()
  const [parse, swap]: [number[], number[]] = [[], []]
  for (let revision = 1; revision <= swaps; revision++) {
    const text = JSON.stringify({ revision, grantsFile: 'bench', starting: [], draining: [], ...table })
    const [read, parsed] = await timed(() => Table.parse(JSON.parse(text)))
    const [, swapped] = await timed(() => holder.replace(read))
    parse.push(parsed)
    swap.push(swapped)
  }
  return { parse: median(parse), swap: median(swap) }
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
