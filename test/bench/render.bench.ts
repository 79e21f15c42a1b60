import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { findChromium } from '../../servers/kit/chromium.ts'
import { connectV1, type McpClient } from '../support/mcp-clients.ts'
import { freePort } from '../support/port.ts'
import { memoryOf } from '../support/process-tree.ts'
import { openRenderServer } from '../support/render-server.ts'
import { until } from '../support/until.ts'
import { type Figures, median, percentile, timed } from './figures.ts'
import { peerProgram } from './peers.ts'
import { run } from './program.ts'

/** What a picture costs from servers that draw in Chromium, ours beside mcp-mermaid where npm can install it. */

const [pictures, atOnce] = [30, 8]

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

export async function renderBench(): Promise<Figures> {
  const rows: (readonly (string | number)[])[] = []
  for (const contender of ours) rows.push(await measure(contender))
  await using stack = new AsyncDisposableStack()
  const peer = await installPeer(stack).catch((error: unknown) => {
    console.log(`mcp-mermaid is skipped: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`)
  })
  if (peer !== undefined) rows.push(await measure(peer))
  const about = `ms. From the start of the program to its first picture; then ${pictures} pictures one after another, each of ours on a page that was never used before; then ${atOnce} at once. Memory of program and browser after that, without what their processes share.`
  const columns = ['server', 'cold', 'warm p50', 'warm p95', 'pictures/s', 'MB'] as const
  return { tables: [{ title: 'A picture', about, columns, rows }] }
}

async function measure({ name, open, call }: Contender): Promise<readonly (string | number)[]> {
  const began = performance.now()
  await using renderer = await open()
  const draw = async () => {
    const [{ images, isError, text: said }, ms] = await timed(() => renderer.client.callTool(...call))
    if (isError || images.length === 0) throw new Error(`${name}: ${said}`)
    return ms
  }
  await draw()
  const cold = performance.now() - began
  const warm: number[] = []
  while (warm.length < pictures) warm.push(await draw())
  const [, together] = await timed(() => Promise.all(Array.from({ length: atOnce }, draw)))
  const rate = ((atOnce * 1_000) / together).toFixed(1)
  const [p50, p95] = [median(warm), percentile(warm, 0.95)]
  return [name, ...[cold, p50, p95].map(Math.round), rate, Math.round(memoryOf(renderer.pid) / 1e6)]
}

async function installPeer(stack: AsyncDisposableStack): Promise<Contender> {
  const main = await peerProgram('mcp-mermaid')
  const browsers = await mkdtemp(join(tmpdir(), 'bench-browsers-'))
  stack.defer(() => rm(browsers, { recursive: true, force: true }))
  const environment = { PLAYWRIGHT_BROWSERS_PATH: browsers }
  await lendChromium(main, environment)
  const call = ['generate_mermaid_diagram', { mermaid: code, outputType: 'base64' }] as const
  return { name: 'mcp-mermaid', open: () => openPeer(main, environment), call }
}

/** Puts this machine's Chromium where the peer's Playwright looks for one of its own, which its error names. */
async function lendChromium(main: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const playwright = join(main, '../../../playwright/index.mjs')
  const ask = `import { chromium } from ${JSON.stringify(playwright)}
    await chromium.launch().then((browser) => browser.close(), (error) => console.log(error.message))`
  await using asking = run(process.execPath, ['--input-type=module', '-e', ask], environment)
  const said = asking.child.stdout === null ? '' : await text(asking.child.stdout)
  const path = /doesn't exist at (\S+)/.exec(said)?.[1]
  if (path === undefined) throw new Error(`Playwright does not say where it looks for Chromium: ${said.slice(0, 200)}`)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `#!/bin/sh\nexec ${findChromium(process.env).path} "$@"\n`)
  await chmod(path, 0o755)
}

async function openPeer(main: string, environment: Readonly<Record<string, string>>): Promise<Renderer> {
  const port = await freePort()
  const running = run(process.execPath, [main, '-t', 'streamable', '-p', `${port}`], environment)
  running.child.stdout?.resume()
  const connect = () => connectV1(`http://127.0.0.1:${port}/mcp`).catch(() => undefined)
  try {
    const client = await until('mcp-mermaid listens', connect)
    return { pid: running.pid, client, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
}
