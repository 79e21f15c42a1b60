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
import { listen } from './mcp-upstream.ts'
import { as } from './proxy.ts'

const Checks = z.array(z.looseObject({ id: z.string(), status: z.string(), errorMessage: z.string().optional() }))
const Requirements = z.object({
  server: z.array(z.string()),
  not_scored: z.array(z.object({ scenario: z.string(), leg: z.string() })),
})

/** What a run of the official suite showed: what did not succeed, by scenario. */
export type Shown = ReadonlyMap<string, readonly string[]>

/** A set of scenarios: what a revision of the protocol requires, or all of the suite's last release before the newer era. */
export type Suite = '2025-11-25' | '2026-07-28' | '0.1.16'

const require = createRequire(import.meta.url)
const suites = '@modelcontextprotocol/conformance/package.json'
const programs = { newer: folderOf(suites), older: folderOf('conformance-legacy/package.json') }
const runLimit = 120_000

function folderOf(manifest: string): string {
  return require.resolve(manifest).replace(/package\.json$/, '')
}

/** The names of the scenarios that a revision requires of a server. */
export function required(revision: Exclude<Suite, '0.1.16'>): readonly string[] {
  const text = readFileSync(`${programs.newer}requirements/${revision}.yaml`, 'utf8')
  return Requirements.parse(parse(text)).server
}

/** Runs the suite against a URL as an agent, whose token it could not send by itself. Leaves no process and no folder behind. */
export async function runConformance(url: string, agent: string | undefined, suite: Suite): Promise<Shown> {
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
  const bad = Checks.parse(JSON.parse(text)).filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
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
