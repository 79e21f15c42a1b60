import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { readMessage } from '../../stdio/message.ts'
import { Session } from '../../stdio/session.ts'
import { readSettings } from '../../stdio/settings.ts'
import { ask, faultOf, initialize, oddProgram, textOf, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

describe('a program that ends', () => {
  test('is told to everybody who waits, and its session is over', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const waiting = [session.call('never', {}, { id: 'a' }), session.call('never', {}, { id: 'b' })]
    await session.call('echo')
    const killed = await session.call('dies', {}, { id: 'c' })
    for (const answered of [killed, ...(await Promise.all(waiting))]) {
      expect(answered.status).toBe(200)
      expect(faultOf(answered)).toBe('the program ended by itself (killed by SIGKILL)')
    }
    expect((await session.call('echo')).status).toBe(404)
    expect(textOf(await (await wrapped.open()).call('echo', { value: 'next' }))).toBe('next')
  })

  test('has its exit code told, and its last words logged without a secret', async () => {
    const wrapped = await wrap(oddProgram(), { flags: ['--secrets', 'SECRET'], env: { SECRET: 'open sesame' } })
    const answered = await (await wrapped.open()).call('exits')
    expect(faultOf(answered)).toBe('the program ended by itself (exit code 4)')
    expect(wrapped.log()).toContain('out of luck, with [SECRET]')
    expect(wrapped.log()).not.toContain('open sesame')
  })

  test('at once opens no session, and once five probes have seen it rests, and its health says why, until one starts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'stdio-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const flag = join(folder, 'ready')
    const [node = '', ...odd] = oddProgram()
    const wrapped = await wrap([
      '/bin/sh',
      '-c',
      `[ -e ${flag} ] && exec ${[node, ...odd].join(' ')}; echo no table >&2; exit 3`,
    ])
    const health = () =>
      ask(`${wrapped.origin}/healthz`, { method: 'GET', body: undefined, headers: {}, signal: undefined })
    for (let time = 0; time < 5; time++) {
      expect((await health()).status).toBe(200)
      const opened = await wrapped.send('POST', initialize())
      expect(opened.headers.get('mcp-session-id')).toBeNull()
      expect(faultOf(opened)).toBe('the program ended by itself (exit code 3)')
      const asked = await wrapped.send('POST', initialize(), { 'user-agent': 'commons-gateway-probe' })
      expect(faultOf(asked)).toBe('the program ended by itself (exit code 3); its last words: no table')
    }
    const held = await wrapped.send('POST', initialize())
    expect([held.status, held.json.error.message]).toEqual([503, 'this server fails to start'])
    const probed = await wrapped.send('POST', initialize(), { 'user-agent': 'commons-gateway-probe' })
    expect(probed.json.error.message).toBe('the program ended by itself (exit code 3); its last words: no table')
    expect([(await health()).status, (await health()).json.fault]).toEqual([503, expect.stringContaining('no table')])
    writeFileSync(flag, '')
    await until('it is started again', async () => (await wrapped.send('POST', initialize())).status === 200)
    expect((await health()).status).toBe(200)
  })

  test('one of its pipes and goes on is ended', async () => {
    const wrapped = await wrap(oddProgram())
    const [one, other] = [await wrapped.open(), await wrapped.open()]
    expect(faultOf(await one.call('closes', { stream: 'stdout' }))).toBe('the program was ended: it closed its stdout')
    expect(textOf(await other.call('closes', { stream: 'stdin' }))).toBe('closed')
    expect(faultOf(await other.call('echo'))).toBe('the program was ended: it closed its stdin')
  })

  test('that does not exist is named', async () => {
    const wrapped = await wrap(['/no/such/program'])
    expect(faultOf(await wrapped.send('POST', initialize()))).toBe(
      'the program ended by itself (there is no program /no/such/program)',
    )
  })
})

test('ends a program that never answers initialize, after twenty seconds', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const settings = readSettings(['--', ...oddProgram('--silent', '--stubborn')], { PORT: '1' })
  const session = new Session(settings)
  const message = readMessage(JSON.stringify(initialize()))
  const answered = session.initialize(message!)
  vi.advanceTimersByTime(20_000)
  vi.advanceTimersByTime(5_500)
  expect((await answered).text).toContain('the program was ended: it did not answer initialize within 20 s')
})

test('says what is wrong with how it was started', async () => {
  await expect(wrap([])).rejects.toThrow('stdio: there is no command to run: name one after --')
  await expect(wrap(oddProgram(), { sessions: 0 })).rejects.toThrow('--sessions: expected a number above 0, found 0')
})
