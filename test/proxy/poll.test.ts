import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { pack } from '#manifests/packed-table.ts'
import { createPoll } from '../../proxy/poll.ts'
import { until } from '../support/until.ts'

const table = pack({ revision: 1, grantsFile: 'x', agents: {}, servers: {}, starting: [], draining: [] })

test('takes no table that is none, says what is wrong with it, and asks again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'poll-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  const good = JSON.stringify(table)
  const answers = [good.slice(0, -1), JSON.stringify({ ...table, agents: [{ name: 'a', access: 0 }] }), good]
  const controller = createServer((_request, response) => void response.end(answers.shift() ?? good))
  const socket = join(folder, 's')
  await once(controller.listen(socket), 'listening')
  stack.defer(() => void controller.close().closeAllConnections())
  const taken: string[] = []
  const lines: string[] = []
  const poll = createPoll({
    socket,
    report: () => ({ proxy: 'p', have: 0, counters: {}, generations: {} }),
    take: async (_table, text) => taken.push(text) > 0,
    log: pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
  })
  const stop = new AbortController()
  const running = poll.run(stop.signal)
  await until('a table is taken', () => taken.length > 0)
  stop.abort()
  await running
  expect(taken[0]).toBe(good)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('JSON')
})
