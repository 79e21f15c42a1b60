import { memoryOf } from '../support/process-tree.ts'
import { openRenderServer } from '../support/render-server.ts'
import { type Figures, median, percentile, timed } from './figures.ts'

/** What a question to the 5etools server takes, with the starter set that it ships. */

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
  return { tables: [{ title: 'A question to 5etools', about, columns: ['tool', 'p50', 'p95'], rows }] }
}
