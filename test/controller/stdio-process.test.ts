import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Generation } from '../../controller/host.ts'
import { UnitTable } from '../../controller/process/table.ts'
import { buildInputOf } from '../support/build-input.ts'
import { openProcessFixture, type ProcessFixture } from '../support/process-fixture.ts'
import { find, generationOf, requestOf } from '../support/stage.ts'
import { ask, bearersOf, initialize } from '../support/stdio.ts'
import { until } from '../support/until.ts'

const signal = new AbortController().signal
const stdio = { sessions: 2, idle: 600_000, path: '/api', health: '/up', secrets: [] }

let fixture: ProcessFixture
let input: ReturnType<typeof buildInputOf>
beforeEach(async () => {
  const program = await readFile(new URL('../support/odd-program.ts', import.meta.url), 'utf8')
  input = buildInputOf({ 'package.json': '{"type":"module"}', 'program.ts': program, Dockerfile: '' })
  fixture = await openProcessFixture()
  await fixture.host.build(requestOf('odd', input), signal)
})
afterEach(() => fixture.close())

async function start(of: Partial<Generation> = {}) {
  const generation = generationOf(input, { server: 'odd', command: ['node', 'program.ts'], stdio, ...of })
  await fixture.host.start(generation, signal)
  const unit = await find(fixture.host, generation.spec)
  const { life, launch } = new UnitTable(join(fixture.state, 'units')).read(unit.name)!
  const send = (path: string, method: string, body?: unknown, headers = {}) =>
    ask(`${unit.upstream}${path}`, { method, body, headers, signal: undefined })
  await until('it is healthy', () =>
    send('/up', 'GET').then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  const programs = () =>
    bearersOf(`COMMONS_GATEWAY_UNIT=${launch.env.COMMONS_GATEWAY_UNIT}`).filter((pid) => pid !== life.pid)
  const open = async () => {
    const { headers } = await send('/api', 'POST', initialize())
    const session = { 'mcp-session-id': headers.get('mcp-session-id') ?? '' }
    return async (name: string, args = {}): Promise<string> => {
      const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }
      return (await send('/api', 'POST', message, session)).json.result.content[0].text
    }
  }
  return { id: unit.id, pid: life.pid, programs, open }
}

test('serves a program by its command, on our own Node, in its folder and at its manifest’s paths', async () => {
  const { open, id } = await start({ env: { NODE_OPTIONS: '--no-warnings', A: 'a' } })
  const call = await open()
  expect(await call('reads', { path: '/proc/self/cmdline' })).toBe(`${process.execPath}\0program.ts\0`)
  expect(JSON.parse(await call('env'))).toMatchObject({ A: 'a', NODE_OPTIONS: '--no-warnings' })
  expect(await fixture.host.logs(id, 5, signal)).toMatch(/^serving .*node at http:\/\/127\.0\.0\.1:\d+\/api/m)
})

test('leaves no program when it is stopped, not even those that do not want to go', async () => {
  const { open, programs, id } = await start({ command: ['node', 'program.ts', '--stubborn'] })
  const call = await open()
  await open()
  await call('forks', { detached: true })
  expect(programs().length).toBeGreaterThanOrEqual(3)
  await fixture.host.stop(id, signal)
  expect(programs()).toEqual([])
  expect(await find(fixture.host, (await fixture.host.observe(signal)).generations[0]!.spec)).toMatchObject({
    exitCode: 0,
  })
})

test('leaves no program when the wrapper itself is killed', async () => {
  const { open, programs, pid } = await start({ command: ['node', 'program.ts', '--stubborn'] })
  const call = await open()
  await call('forks', { detached: true })
  process.kill(pid, 'SIGKILL')
  await until('nobody is left', () => programs().length === 0)
})

test('leaves no program when it is killed because it does not end in time', async () => {
  const { open, programs, id } = await start({ command: ['node', 'program.ts', '--stubborn'] })
  await (await open())('forks')
  await fixture.host.stop(id, signal, 100)
  expect(programs()).toEqual([])
})
