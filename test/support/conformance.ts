import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, request as send } from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { openConformanceServer } from './conformance-server.ts'
import { listen, openUpstream } from './mcp-upstream.ts'
import { agentWith, as, openProxy, serverAt, wholeGrant } from './proxy.ts'
import { until } from './until.ts'

const Checks = z.array(z.looseObject({ id: z.string(), status: z.string(), errorMessage: z.string().optional() }))
const Requirements = z.object({ server: z.array(z.string()) })

/** What a run of the official suite showed: what did not succeed, by scenario. */
export type Shown = ReadonlyMap<string, readonly string[]>

/** A set of scenarios: what a revision of the protocol requires, or all of the suite's last release before the newer era. */
export type Suite = '2025-11-25' | '2026-07-28' | '0.1.16'

const require = createRequire(import.meta.url)
const suites = '@modelcontextprotocol/conformance/package.json'
const programs = { newer: folderOf(suites), older: folderOf('conformance-legacy/package.json') }
/** Those that 0.1.16 has beside what the revision that was newest then requires now; it has no list of its own. */
const older = ['json-schema-2020-12', 'server-sse-polling']
const runLimit = 120_000

function folderOf(manifest: string): string {
  return require.resolve(manifest).replace(/package\.json$/, '')
}

/** The names of the scenarios that a suite has for a server and counts. */
export function required(suite: Suite): readonly string[] {
  if (suite === '0.1.16') return [...required('2025-11-25'), ...older]
  const text = readFileSync(`${programs.newer}requirements/${suite}.yaml`, 'utf8')
  return Requirements.parse(parse(text)).server
}

/** A suite, the eras that its server speaks, and what lies between the two. */
export interface Run {
  readonly suite: Suite
  readonly fixture: Parameters<typeof openConformanceServer>[0]
  readonly through: 'nothing' | '/mcp/suite' | '/mcp'
}

/** So many do not slow each other down much. */
const lanes = 3

/** Makes all runs, some at a time, each with a server and a proxy of its own. One that cannot be made shows that as its only scenario. */
export async function runAll(runs: readonly Run[]): Promise<ReadonlyMap<Run, Shown>> {
  const shown = new Map<Run, Shown>()
  const waiting = [...runs]
  const lane = async () => {
    for (let run = waiting.shift(); run !== undefined; run = waiting.shift())
      shown.set(run, await make(run).catch((error: unknown) => new Map([['*', [String(error)]]])))
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return shown
}

async function make({ suite, fixture, through }: Run): Promise<Shown> {
  await using server = await openConformanceServer(fixture)
  if (through === 'nothing') return await runConformance(`${server.origin}/mcp`, undefined, suite)
  await using other = await openUpstream('v2')
  await using proxy = await openProxy()
  const servers = { suite: serverAt('suite', server.origin, { prefix: '' }), other: serverAt('other', other.origin) }
  proxy.use({ agents: { a: agentWith('a', { suite: wholeGrant, other: wholeGrant }) }, servers })
  const known = () => Object.values(servers).every(({ generation }) => proxy.gateway.probes.known(generation))
  await until('both servers are known', known, 30_000)
  return await runConformance(proxy.url + through, 'a', suite)
}

/** Runs the suite against a URL as an agent, whose token it could not send by itself. Leaves no process and no folder behind. */
async function runConformance(url: string, agent: string | undefined, suite: Suite): Promise<Shown> {
  const folder = await mkdtemp(join(tmpdir(), 'conformance-'))
  await using front = await openShim(url, agent)
  const [program, set] =
    suite === '0.1.16' ? [programs.older, ['--suite', 'all']] : [programs.newer, ['--requirements', suite]]
  const args = [`${program}dist/index.js`, 'server', '--url', front.url, ...set, '-o', folder]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: runLimit, cwd: folder })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  try {
    const [code, signal] = await once(child, 'close')
    if (signal !== null || code > 1)
      throw new Error(`the suite ended with ${signal ?? code}: ${said.join('').slice(-2_000)}`)
    return await readShown(folder)
  } finally {
    child.kill('SIGKILL')
    await rm(folder, { recursive: true })
  }
}

/** Each scenario has a folder of its own, `server-<name>-<time>`; one that threw left it empty. */
async function readShown(folder: string): Promise<Shown> {
  const shown = new Map<string, readonly string[]>()
  for (const entry of await readdir(folder)) {
    const name = entry.replace(/^server-/, '').replace(/-\d{4}-\d\d-\d\dT.*$/, '')
    shown.set(name, await readBad(join(folder, entry, 'checks.json')))
  }
  return shown
}

async function readBad(file: string): Promise<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return ['did not end']
  const bad = Checks.parse(JSON.parse(text)).filter(({ status }) => status !== 'SUCCESS' && status !== 'INFO')
  return bad.map(({ id, errorMessage = '' }) => `${id}: ${errorMessage}`)
}

/** Passes everything on as it is, as one agent. */
async function openShim(url: string, agent: string | undefined): Promise<{ readonly url: string } & AsyncDisposable> {
  const { origin, pathname } = new URL(url)
  const server = createServer((request, response) => {
    const headers = { ...request.headers, ...(agent !== undefined && as(agent)) }
    const onward = send(origin + (request.url ?? ''), { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  const port = await listen(server)
  return {
    url: `http://localhost:${port}${pathname}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
