import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { connectV2, type McpClient } from '../support/mcp-clients.ts'
import { freePort } from '../support/port.ts'
import { descendants } from '../support/process-tree.ts'
import { until } from '../support/until.ts'
import { type Figures, median, timed } from './figures.ts'

/**
 * How long the chart server takes for charts, cold and warm, and what it holds; beside `@antv/mcp-server-chart`, which draws nothing
 * itself, in front of the same renderer.
 */

const rounds = 20
const folder = new URL('../../servers/chart/', import.meta.url)
const tools = {
  pie: 'generate_pie_chart',
  line: 'generate_line_chart',
  sankey: 'generate_sankey_chart',
  'word-cloud': 'generate_word_cloud_chart',
  'flow-diagram': 'generate_flow_diagram',
  spreadsheet: 'generate_spreadsheet',
  'pin-map': 'generate_pin_map',
}

type Call = (tool: string, args: Readonly<Record<string, unknown>>) => Promise<unknown>

function example(type: string): Record<string, unknown> {
  const args: Record<string, unknown> = JSON.parse(readFileSync(new URL(`examples/${type}.json`, folder), 'utf8'))
  // AntV's takes names of places alone.
  return type === 'pin-map' ? { ...args, data: ['Lisbon', 'Madrid', 'Paris', 'Berlin', 'Vienna', 'Rome'] } : args
}

/** Megabytes that a process and those below it hold alone or share in equal parts. */
function memoryOf(pid: number): number {
  const kilobytes = [pid, ...descendants(pid)].map((one) =>
    Number(/^Pss: +(\d+)/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, 'utf8'))?.[1]),
  )
  return kilobytes.reduce((sum, one) => sum + one, 0) / 1024
}

/** The server as a process, from nothing. */
async function openServer() {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const env = { PATH: process.env.PATH, PORT: `${port}`, LOG_LEVEL: 'error' }
  const child = spawn(process.execPath, [fileURLToPath(new URL('main.ts', folder))], { env, stdio: 'ignore' })
  const isUp = () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until('the server is up', isUp)
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: async () => void child.kill('SIGTERM') }
}

/** AntV's server, which asks `url` to draw, and is given the time to fetch the picture, as its callers have to. */
async function openAntv(url: string) {
  const client = new Client({ name: 'bench', version: '1' })
  const args = [fileURLToPath(new URL('node_modules/@antv/mcp-server-chart/build/index.js', folder))]
  const env = { PATH: process.env.PATH ?? '', VIS_REQUEST_SERVER: url }
  const transport = new StdioClientTransport({ command: process.execPath, args, env, stderr: 'ignore' })
  await client.connect(transport)
  const call: Call = async (name, given) => {
    const { content } = await client.callTool({ name, arguments: given })
    const [address] = /http:\S+\.png/.exec(JSON.stringify(content)) ?? []
    if (address === undefined) throw new Error(`${name}: ${JSON.stringify(content)}`)
    await (await fetch(address)).arrayBuffer()
  }
  return { call, pid: transport.pid ?? 0, [Symbol.asyncDispose]: () => client.close() }
}

function calling(client: McpClient): Call {
  return async (name, args) => {
    const { isError, text } = await client.callTool(name, args)
    if (isError) throw new Error(`${name}: ${text}`)
  }
}

export async function chartBench(): Promise<Figures> {
  const began = performance.now()
  await using server = await openServer()
  const client = await connectV2('modern')(`${server.url}/mcp`)
  const rows: (readonly string[])[] = []
  await calling(client)(tools.pie, example('pie'))
  rows.push(['from nothing to the first picture', `${Math.round(performance.now() - began)} ms`, '–'])
  await using antv = await openAntv(`${server.url}/api/gpt-vis`)
  for (const [type, tool] of Object.entries(tools)) {
    const args = example(type)
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round <= rounds; round++) {
      ours.push((await timed(() => calling(client)(tool, args)))[1])
      theirs.push((await timed(() => antv.call(tool, args)))[1])
    }
    const warm = (times: readonly number[]) => `${Math.round(median(times.slice(1)))} ms`
    rows.push([`${type}: the first, then warm (p50)`, `${Math.round(ours[0] ?? 0)} ms, ${warm(ours)}`, warm(theirs)])
  }
  const lines = Array.from({ length: 30 }, () => example('line'))
  const [, burst] = await timed(() => Promise.all(lines.map((line) => calling(client)(tools.line, line))))
  rows.push(['30 lines at once', `${(30_000 / burst).toFixed(1)} a second`, '–'])
  const memory = (pid: number) => `${Math.round(memoryOf(pid))} MB`
  rows.push(['memory after all of that', memory(server.pid), `${memory(antv.pid)} beside it`])
  await client.close()
  const about = `${rounds} rounds, in turns. AntV's server draws nothing itself: it stands in front of the same renderer, and the time to fetch the picture is in its figures, as its callers have to.`
  return { tables: [{ title: 'Charts', about, columns: ['', 'chart', '@antv/mcp-server-chart'], rows }] }
}
