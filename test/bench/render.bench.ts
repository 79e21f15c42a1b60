import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { findChromium } from '../../servers/kit/chromium.ts'
import { connectV1, type McpClient } from '../support/mcp-clients.ts'
import { freePort } from '../support/port.ts'
import { memoryOf } from '../support/process-tree.ts'
import { openRenderServer } from '../support/render-server.ts'

/**
 * What a picture costs: from the start of the program to the first one, then one after another, then eight at once; and the
 * memory that program and browser hold after that. Beside ours stands mcp-mermaid, where npm can install it; it opens a page
 * for each picture as well. `node test/bench/render.bench.ts [pictures]`
 */

const pictures = Number(process.argv[2] ?? 30)
const rival = 'mcp-mermaid@0.4.1'
const run = promisify(execFile)

const code = 'flowchart LR\n  ask{Ask?} -->|yes| build[Build] --> learn[Learn]\n  ask -->|no| wait[Wait]'
const steps = ['Ask', 'Plan', 'Build', 'Learn'].map((label) => ({ label, desc: 'And then go on', icon: 'rocket' }))

interface Renderer extends AsyncDisposable {
  readonly pid: number
  readonly client: McpClient
}

interface Contender {
  readonly name: string
  readonly open: () => Promise<Renderer>
  readonly call: readonly [tool: string, args: Readonly<Record<string, unknown>>]
}

const ours: readonly Contender[] = [
  { name: 'mermaid', open: () => openRenderServer('mermaid'), call: ['render_diagram', { code }] },
  {
    name: 'infographic',
    open: () => openRenderServer('infographic'),
    call: [
      'render_infographic',
      { template: 'list-row-horizontal-icon-arrow', data: { title: 'Steps', items: steps } },
    ],
  },
]

async function measure({ name, open, call }: Contender): Promise<Readonly<Record<string, string | number>>> {
  const began = performance.now()
  await using renderer = await open()
  const draw = async () => {
    const start = performance.now()
    const { images, isError, text } = await renderer.client.callTool(...call)
    if (isError || images.length === 0) throw new Error(`${name}: ${text}`)
    return performance.now() - start
  }
  await draw()
  const cold = performance.now() - began
  const warm: number[] = []
  for (let drawn = 0; drawn < pictures; drawn++) warm.push(await draw())
  const flooded = performance.now()
  await Promise.all(Array.from({ length: 8 }, draw))
  const rate = 8_000 / (performance.now() - flooded)
  warm.sort((a, b) => a - b)
  const quantile = (part: number) => Math.round(warm[Math.floor(part * (warm.length - 1))] ?? 0)
  return {
    server: name,
    'cold ms': Math.round(cold),
    'p50 ms': quantile(0.5),
    'p95 ms': quantile(0.95),
    'pictures/s': rate.toFixed(1),
    'memory MB': Math.round(memoryOf(renderer.pid) / 1e6),
  }
}

/** Installs it without running any of its scripts, and lets it find the Chromium of this machine. */
async function installRival(folder: string): Promise<Contender> {
  await run('npm', ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', rival], {
    timeout: 300_000,
  })
  const browsers = join(folder, 'browsers')
  const env = { PATH: process.env.PATH, PLAYWRIGHT_BROWSERS_PATH: browsers }
  const ask = `import { chromium } from 'playwright'; await chromium.launch().then((b) => b.close())`
  const { stderr } = await run(process.execPath, ['--input-type=module', '-e', ask], { cwd: folder, env }).catch(
    (error: { readonly stderr: string }) => error,
  )
  const expected = /doesn't exist at (\S+)/.exec(stderr)?.[1]
  if (expected === undefined) throw new Error(`it does not say where it looks for Chromium: ${stderr.slice(0, 200)}`)
  await mkdir(dirname(expected), { recursive: true })
  await writeFile(expected, `#!/bin/sh\nexec ${findChromium(process.env).path} "$@"\n`)
  await chmod(expected, 0o755)
  const main = join(folder, 'node_modules/mcp-mermaid/build/index.js')
  const call = ['generate_mermaid_diagram', { mermaid: code, outputType: 'base64' }] as const
  return { name: rival, open: () => openRival(main, env), call }
}

async function openRival(main: string, env: NodeJS.ProcessEnv): Promise<Renderer> {
  const port = await freePort()
  const child = spawn(process.execPath, [main, '-t', 'streamable', '-p', String(port)], { env, stdio: 'ignore' })
  const ended = once(child, 'exit')
  const dispose = async () => {
    child.kill()
    await ended
  }
  for (let tries = 0; tries < 100; tries++) {
    const client = await connectV1(`http://127.0.0.1:${port}/mcp`).catch(() => undefined)
    if (client !== undefined) return { pid: child.pid ?? 0, client, [Symbol.asyncDispose]: dispose }
    await new Promise((done) => setTimeout(done, 100))
  }
  await dispose()
  throw new Error('it does not listen')
}

const rows = []
for (const contender of ours) rows.push(await measure(contender))
const folder = await mkdtemp(join(tmpdir(), 'bench-render-'))
try {
  rows.push(await measure(await installRival(folder)))
} catch (error) {
  console.log(`${rival} is skipped: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
console.table(rows)
