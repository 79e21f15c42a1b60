import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../support/port.ts'
import { memoryOf } from '../support/process-tree.ts'
import { openRenderServer } from '../support/render-server.ts'
import { until } from '../support/until.ts'
import { type Figures, median, percentile, type Table, timed } from './figures.ts'
import { run } from './program.ts'

/** What a question to the 5etools server takes, with the starter set that it ships; and what all servers hold at rest. */

const rounds = 200
const questions = {
  search: { query: 'fire' },
  search_spells: { level: 3 },
  search_monsters: { cr_max: '1/4' },
  get_entry: { kind: 'spell', name: 'Fireball' },
}

export async function searchBench(): Promise<Figures> {
  const began = performance.now()
  await using server = await openRenderServer('5etools')
  const ask = async (tool: string, args: Readonly<Record<string, unknown>>) => {
    const [{ isError, text }, ms] = await timed(() => server.client.callTool(tool, args))
    if (isError) throw new Error(`${tool}: ${text}`)
    return ms
  }
  await ask('search', questions.search)
  const cold = performance.now() - began
  const rows: (readonly (string | number)[])[] = []
  for (const [tool, args] of Object.entries(questions)) {
    const times: number[] = []
    while (times.length < rounds) times.push(await ask(tool, args))
    rows.push([tool, median(times).toFixed(1), percentile(times, 0.95).toFixed(1)])
  }
  const about = `ms, ${rounds} of each, one after another, by the official client. From its start to the first answer ${Math.round(cold)} ms; ${Math.round(memoryOf(server.pid) / 1e6)} MB at the end.`
  const searches = { title: 'A question to 5etools', about, columns: ['tool', 'p50', 'p95'], rows }
  return { tables: [searches, await memoryTable()] }
}

const ready = 2_000

/** Each server as it is a while after its start, without anybody's question. */
async function memoryTable(): Promise<Table> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-servers-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const environments: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    '5etools': {},
    chart: {},
    infographic: {},
    mermaid: {},
    midjourney: { MIDJOURNEY_STATE_DIR: folder, MIDJOURNEY_API_KEY: 'none' },
    outline: {},
    personal: { PERSONAL_DATA_DIR: folder },
  }
  const rows: (readonly (string | number)[])[] = []
  for (const [name, environment] of Object.entries(environments)) {
    const port = await freePort()
    const main = new URL(`../../servers/${name}/main.ts`, import.meta.url).pathname
    const running = stack.use(run(process.execPath, [main], { ...environment, PORT: `${port}`, LOG_LEVEL: 'error' }))
    const isUp = () =>
      fetch(`http://127.0.0.1:${port}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
    const [, ms] = await timed(() => until(`${name} is up`, isUp))
    await new Promise((done) => setTimeout(done, ready))
    rows.push([name, Math.round(ms), Math.round(memoryOf(running.pid) / 1e6)])
  }
  const about = `From its start until it listens, ms; what it and its processes hold alone ${ready / 1_000} s later, before anybody asks it anything.`
  return { title: 'The servers at rest', about, columns: ['server', 'start ms', 'MB'], rows }
}
