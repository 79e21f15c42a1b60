import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { faultOf, initialize, oddProgram, textOf, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

/** One that ended and that nobody has buried yet is not. */
const isAlive = (pid: number) => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))

describe('nothing is left of', () => {
  test('a program that ignores SIGTERM', async () => {
    const wrapped = await wrap(oddProgram('--stubborn'))
    const began = Date.now()
    await (await wrapped.open()).end()
    expect(wrapped.programs()).toEqual([])
    expect(Date.now() - began).toBeLessThan(9_000)
  })

  test('what a program has started, in its group or out of it', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const pids = [await session.call('forks'), await session.call('forks', { detached: true })].map((one) =>
      Number(textOf(one)),
    )
    expect(pids.map(isAlive)).toEqual([true, true])
    await session.end()
    expect(pids.map(isAlive)).toEqual([false, false])
    expect(wrapped.programs()).toEqual([])
  })

  test('what a program leaves behind that dies itself', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    await session.call('forks')
    await session.call('forks', { detached: true })
    expect(wrapped.programs().length).toBeGreaterThanOrEqual(3)
    expect(faultOf(await session.call('dies'))).toContain('killed by SIGKILL')
    await wrapped.empty()
  })

  test.for(['SIGTERM', 'SIGINT'] as const)('all of them after %s', async (signal) => {
    const wrapped = await wrap(oddProgram(...(signal === 'SIGTERM' ? ['--stubborn'] : [])))
    const sessions = await Promise.all([wrapped.open(), wrapped.open(), wrapped.open()])
    await Promise.all(sessions.map((session) => session.call('forks', { detached: true })))
    const told = sessions[0]!.call('never').then(faultOf, () => 'cut off')
    expect(await wrapped.kill(signal)).toBe(0)
    expect(wrapped.programs()).toEqual([])
    expect(await told).toMatch(/^cut off$|the server stops/)
  })

  test('one whose client leaves while it starts', async () => {
    const wrapped = await wrap(['/bin/sh', '-c', 'sleep 60'])
    const left = expect(wrapped.send('POST', initialize(), {}, AbortSignal.timeout(500))).rejects.toThrow()
    await until('it has been started', () => wrapped.programs().length > 0)
    await left
    await wrapped.empty()
  })

  test('a hundred sessions that nobody ended, once their time is over', { timeout: 60_000 }, async () => {
    const program = join(import.meta.dirname, '../support/small-program.sh')
    const wrapped = await wrap(['/bin/sh', program], { sessions: 100, idle: 3_000 })
    const opened = await Promise.all(Array.from({ length: 100 }, () => wrapped.send('POST', initialize())))
    expect(new Set(opened.map(({ headers }) => headers.get('mcp-session-id'))).size).toBe(100)
    const streams = new AbortController()
    onTestFinished(() => streams.abort())
    for (const { headers } of opened.slice(0, 10))
      void fetch(wrapped.endpoint, {
        headers: { 'mcp-session-id': headers.get('mcp-session-id') ?? '' },
        signal: streams.signal,
      }).catch(() => {})
    await wrapped.empty()
    expect((await wrapped.send('POST', initialize())).status).toBe(200)
  })

  test('fifty sessions that were ended', async () => {
    const program = join(import.meta.dirname, '../support/small-program.sh')
    const wrapped = await wrap(['/bin/sh', program])
    const handles = () => readdirSync(`/proc/${wrapped.pid}/fd`).length
    await (await wrapped.open()).end()
    const before = handles()
    for (let round = 0; round < 10; round++) {
      const opened = await Promise.all(Array.from({ length: 5 }, () => wrapped.open()))
      await Promise.all(opened.map((session) => session.end()))
    }
    expect(wrapped.programs()).toEqual([])
    expect(handles()).toBeLessThan(before + 10)
  })

  test('a program that the wrapper itself could not end, because it was killed: it finds its stdin closed', async () => {
    const wrapped = await wrap(oddProgram())
    await wrapped.open()
    await wrapped.kill('SIGKILL')
    await wrapped.empty()
  })
})
