import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import { connectCurl, connectV2, type McpClient, type ToolAnswer } from '../support/mcp-clients.ts'
import { decodePng } from '../support/png.ts'
import { descendants, isRunning } from '../support/process-tree.ts'
import { failProgram, type Program, startProgram } from '../support/program.ts'

vi.setConfig({ testTimeout: 60_000 })

const main = fileURLToPath(new URL('../../servers/chart/main.ts', import.meta.url))
const data = [
  { category: 'a', value: 1 },
  { category: 'b', value: 2 },
]

interface Server {
  readonly program: Program
  readonly client: McpClient
  readonly pie: () => Promise<ToolAnswer>
}

/** A server whose workers have drawn. */
async function openServer(env: Readonly<Record<string, string>> = {}): Promise<Server> {
  const program = await startProgram(main, env)
  const client = await connectCurl(`${program.url}/mcp`)
  const pie = () => client.callTool('generate_pie_chart', { data })
  await vi.waitFor(async () => expect((await fetch(`${program.url}/readyz`)).status).toBe(200), { timeout: 40_000 })
  return { program, client, pie }
}

/** Bytes that a process and those below it hold. */
function memoryOf(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, one) => {
    const [, resident = 0] = readFileSync(`/proc/${one}/statm`, 'utf8').split(' ').map(Number)
    return sum + resident * 4096
  }, 0)
}

describe('the workers of chart', () => {
  test('cost the call that they die under, and no other', async () => {
    const { program, client, pie } = await openServer({ RENDER_CONCURRENCY: '1' })
    const [worker] = descendants(program.pid!)
    // Stopped, it holds the first call for as long as this test likes.
    process.kill(worker!, 'SIGSTOP')
    const first = pie()
    await client.callTool('generate_district_map', {})
    const others = [pie(), pie(), pie()]
    await client.callTool('generate_district_map', {})
    process.kill(worker!, 'SIGKILL')
    const { isError, text } = await first
    expect([isError, text]).toEqual([true, expect.stringMatching(/ended while it was drawing this.*Try again/)])
    for (const answer of await Promise.all(others)) expect(answer).toMatchObject({ isError: false })
    expect(descendants(program.pid!)).not.toContain(worker)
  })

  test('are ended when they take too long, and the next call is drawn', async () => {
    const { program, pie } = await openServer({ RENDER_CONCURRENCY: '1', RENDER_TIMEOUT_MS: '3000' })
    const [worker] = descendants(program.pid!)
    process.kill(worker!, 'SIGSTOP')
    const { isError, text } = await pie()
    expect([isError, text]).toEqual([true, expect.stringMatching(/^Drawing took longer than 3 s and was stopped/)])
    expect(await pie()).toMatchObject({ isError: false })
    expect(isRunning(worker!)).toBe(false)
  })

  test('answer 200 calls at once with bounded memory, or say that they are busy, and hang on none', async () => {
    const { program, client, pie } = await openServer()
    // Both of its workers run from then on.
    await Promise.all(Array.from({ length: 6 }, pie))
    const series = Array.from({ length: 100 }, (_, i) => ({ time: String(i), value: i % 7 }))
    const calls = Array.from({ length: 200 }, () => client.callTool('generate_line_chart', { data: series }))
    const answers = await Promise.all(calls)
    const drawn = answers.filter(({ isError }) => !isError)
    expect(drawn.length).toBeGreaterThanOrEqual(10)
    expect(decodePng(drawn.at(-1)!.images[0]!).colours().size).toBeGreaterThan(10)
    for (const { text } of answers.filter(({ isError }) => isError)) expect(text).toMatch(/busy.*Try again/)
    expect(answers.length - drawn.length).toBeGreaterThan(100)
    expect(memoryOf(program.pid!)).toBeLessThan(1_000e6)
    expect(await pie()).toMatchObject({ isError: false })
  })

  test('end with a caller that is gone, and the next is served', async () => {
    const { program, pie } = await openServer({ RENDER_CONCURRENCY: '1' })
    const [worker] = descendants(program.pid!)
    process.kill(worker!, 'SIGSTOP')
    const leaving = new AbortController()
    const body = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'generate_pie_chart', arguments: { data } },
    }
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const gone = fetch(`${program.url}/mcp`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal: leaving.signal,
    })
    await (await connectCurl(`${program.url}/mcp`)).callTool('generate_district_map', {})
    leaving.abort()
    await expect(gone).rejects.toThrow()
    expect(await pie()).toMatchObject({ isError: false })
  })

  test('end with the server, when it is asked to stop and when it is killed', async () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { program, pie } = await openServer()
      await Promise.all(Array.from({ length: 6 }, pie))
      const family = descendants(program.pid!)
      expect(family).toHaveLength(2)
      program.kill(signal)
      expect(await program.ended).toBe(signal === 'SIGTERM' ? 0 : null)
      await vi.waitFor(() => expect(family.filter(isRunning)).toEqual([]), { timeout: 5_000 })
    }
  })

  test('are no more than calls at a time have needed', async () => {
    const { program, pie } = await openServer()
    for (let call = 0; call < 3; call += 1) await pie()
    expect(descendants(program.pid!)).toHaveLength(1)
  })

  test('know no variable of the server', async () => {
    const { program } = await openServer({ RENDER_CONCURRENCY: '1', CHART_PUBLIC_URL: 'http://charts.example' })
    const [worker] = descendants(program.pid!)
    expect(readFileSync(`/proc/${worker}/environ`, 'utf8')).not.toContain('charts.example')
  })
})

describe('the settings of chart', () => {
  test('choose tools, and how many points there may be', async () => {
    const { client } = await openServer({
      CHART_TOOLS: 'pie, generate_bar_chart,line',
      DISABLED_TOOLS: 'generate_line_chart',
      CHART_MAX_POINTS: '1',
    })
    expect((await client.listTools()).toSorted()).toEqual(['generate_bar_chart', 'generate_pie_chart'])
    const { text } = await client.callTool('generate_pie_chart', { data })
    expect(text).toBe('the data has 2 points, more than 1; sum it up or leave some out')
  })

  test('make one tool of all', async () => {
    const { program } = await openServer({ CHART_TOOLS: 'generic', DISABLED_TOOLS: 'venn' })
    const agent = await connectV2('modern')(`${program.url}/mcp`)
    expect(await agent.listTools()).toEqual(['generate_chart'])
    const { text, images } = await agent.callTool('generate_chart', { type: 'column', data, axisXTitle: 'x' })
    expect([text, images.length]).toEqual(['column, 2 points, 600×400, png 1200×800', 1])
    expect(await agent.callTool('generate_chart', { type: 'venn', data })).toMatchObject({ isError: true })
    expect((await agent.callTool('generate_chart', { type: 'line', data })).text).toMatch(
      /^data\[0\]\.time: give a text/,
    )
    await agent.close()
  })

  test.each([
    [{ CHART_TOOLS: 'pie,tart' }, /CHART_TOOLS="pie,tart": there is no tart; there are generate_line_chart/],
    [{ DISABLED_TOOLS: 'all' }, /DISABLED_TOOLS="all": there is no all/],
    [{ CHART_MAX_POINTS: '0' }, /CHART_MAX_POINTS="0"/],
    [{ CHART_PUBLIC_URL: 'charts' }, /CHART_PUBLIC_URL="charts": give the http or https address/],
    [{ RENDER_TIMEOUT_MS: 'soon' }, /RENDER_TIMEOUT_MS="soon"/],
    [{ RENDER_CONCURRENCY: '99' }, /RENDER_CONCURRENCY="99"/],
  ])('stop the start with one line when they are wrong: %j', async (env, words) => {
    const { code, lines } = await failProgram(main, env)
    expect([code, lines.length, lines[0]?.msg]).toEqual([1, 1, expect.stringMatching(words)])
  })
})
