import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { readMessage } from '../../stdio/message.ts'
import { Session } from '../../stdio/session.ts'
import { readSettings } from '../../stdio/settings.ts'
import { ask, bearersOf, initialize, oddProgram, textOf, type Wrapped, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

const words = (answered: { json: { error: { code: number; message: string } } }) => {
  expect(answered.json.error.code).toBe(-32603)
  return answered.json.error.message
}
const gone = (wrapped: Wrapped) => until('no program is left', () => wrapped.programs().length === 0, 10_000)
/** One that ended and that nobody has buried yet is not. */
const isAlive = (pid: number) => existsSync(`/proc/${pid}`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))

describe('a program that ends', () => {
  test('is told to everybody who waits, and its session is over', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const waiting = [session.call('never', {}, { id: 'a' }), session.call('never', {}, { id: 'b' })]
    await session.call('echo')
    const killed = await session.call('dies', {}, { id: 'c' })
    for (const answered of [killed, ...(await Promise.all(waiting))]) {
      expect(answered.status).toBe(200)
      expect(words(answered)).toBe('node ended by itself (killed by SIGKILL)')
    }
    expect((await session.call('echo')).status).toBe(404)
    expect(textOf(await (await wrapped.open()).call('echo', { value: 'next' }))).toBe('next')
  })

  test('has its exit code told, and its last words logged without a secret', async () => {
    const wrapped = await wrap(oddProgram(), { flags: ['--secrets', 'SECRET'], env: { SECRET: 'open sesame' } })
    const answered = await (await wrapped.open()).call('exits')
    expect(words(answered)).toBe('node ended by itself (exit code 4)')
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
      expect(words(opened)).toBe('sh ended by itself (exit code 3)')
      const asked = await wrapped.send('POST', initialize(), { 'user-agent': 'commons-gateway-probe' })
      expect(words(asked)).toBe('sh ended by itself (exit code 3); its last words: no table')
    }
    const held = await wrapped.send('POST', initialize())
    expect([held.status, held.json.error.message]).toEqual([503, 'this server fails to start'])
    const probed = await wrapped.send('POST', initialize(), { 'user-agent': 'commons-gateway-probe' })
    expect(probed.json.error.message).toBe('sh ended by itself (exit code 3); its last words: no table')
    expect([(await health()).status, (await health()).json.fault]).toEqual([503, expect.stringContaining('no table')])
    writeFileSync(flag, '')
    await until('it is started again', async () => (await wrapped.send('POST', initialize())).status === 200)
    expect((await health()).status).toBe(200)
  })

  test('that does not exist is named', async () => {
    const wrapped = await wrap(['/no/such/program'])
    expect(words(await wrapped.send('POST', initialize()))).toBe('program ended by itself (there is no such program)')
  })
})

describe('a program that writes', () => {
  test('a banner before it speaks is understood, and the banner is logged', async () => {
    const wrapped = await wrap(oddProgram('--banner'))
    expect(textOf(await (await wrapped.open()).call('echo', { value: 'x' }))).toBe('x')
    expect(wrapped.log()).toContain('writes to stdout what is no message: "Welcome to the program!"')
  })

  test('twenty lines that are no messages in a row goes on', async () => {
    const session = await (await wrap(oddProgram())).open()
    expect(textOf(await session.call('rubbish', { lines: 20 }))).toBe('done')
    expect(textOf(await session.call('rubbish', { lines: 20 }))).toBe('done')
  })

  test('its log to stdout is ended, and told why, without a secret', async () => {
    const wrapped = await wrap(oddProgram('--logs'), { flags: ['--secrets', 'SECRET'], env: { SECRET: 'open sesame' } })
    expect(words(await wrapped.send('POST', initialize()))).toBe(
      'node was ended: it writes logs to stdout, such as "INFO line 20 [SECRET]"',
    )
    await gone(wrapped)
  })

  test('7 MB in a line is heard, and one that writes 20 MB is ended', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    expect(textOf(await session.call('long', { bytes: 7_000_000 }))).toHaveLength(7_000_000)
    expect(words(await session.call('long', { bytes: 20_000_000 }))).toBe(
      'node was ended: it wrote a line of more than 8388608 bytes',
    )
    await gone(wrapped)
    expect(memoryOf(wrapped)).toBeLessThan(400)
  })

  test('30 MB to stderr does not fill the log, nor keep it from its work', async () => {
    const wrapped = await wrap(oddProgram())
    expect(textOf(await (await wrapped.open()).call('stderr', { bytes: 30_000_000 }))).toBe('done')
    await wrapped.kill('SIGTERM')
    expect(wrapped.log().length).toBeLessThan(1_000_000)
    expect(wrapped.log()).toMatch(/\(\d+ lines of stderr were too many\)/)
  })

  test('faster than its client reads is held back', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const response = await fetch(wrapped.endpoint, {
      method: 'POST',
      headers: { ...session.headers, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'flood', arguments: { count: 300, bytes: 1_000_000 } },
      }),
    })
    const reader = response.body!.getReader()
    await reader.read()
    const before = await settled(() => memoryOf(wrapped))
    expect(before).toBeLessThan(300)
    let bytes = 0
    for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length
    expect(bytes).toBeGreaterThan(290_000_000)
  })

  test('what nobody listens to keeps only the newest of it', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const answered = await session.call('flood', { count: 500, bytes: 1_000_000 }, { accept: 'application/json' })
    expect(textOf(answered)).toBe('done')
    expect(memoryOf(wrapped)).toBeLessThan(500)
  })

  test('to a client that opens a stream and never reads it has that stream ended', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const socket = connect(Number(new URL(wrapped.origin).port), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.write(`GET /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: ${session.id}\r\n\r\n`)
    await new Promise((done) => socket.once('readable', done))
    const answered = await session.call('flood', { count: 100, bytes: 500_000 }, { accept: 'application/json' })
    expect(textOf(answered)).toBe('done')
    await until('the socket is closed', () => {
      socket.resume()
      return socket.destroyed
    })
    expect(textOf(await session.call('echo', { value: 'still here' }))).toBe('still here')
  })
})

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
    expect(words(await session.call('dies'))).toContain('killed by SIGKILL')
    await gone(wrapped)
  })

  test.for(['SIGTERM', 'SIGINT'] as const)('all of them after %s', async (signal) => {
    const wrapped = await wrap(oddProgram(...(signal === 'SIGTERM' ? ['--stubborn'] : [])))
    const sessions = await Promise.all([wrapped.open(), wrapped.open(), wrapped.open()])
    await Promise.all(sessions.map((session) => session.call('forks', { detached: true })))
    const call = sessions[0]!.call('never').catch(() => 'cut off')
    expect(await wrapped.kill(signal)).toBe(0)
    expect(wrapped.programs()).toEqual([])
    expect(['cut off', expect.anything()]).toContainEqual(await call)
  })

  test('one whose client leaves while it starts', async () => {
    const wrapped = await wrap(['/bin/sh', '-c', 'sleep 60'])
    const leaving = wrapped.send('POST', initialize(), {}, AbortSignal.timeout(500))
    await until('it has been started', () => wrapped.programs().length > 0)
    await expect(leaving).rejects.toThrow()
    await gone(wrapped)
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
    await gone(wrapped)
    expect((await wrapped.send('POST', initialize())).status).toBe(200)
  })

  test('a program that the wrapper itself could not end, because it was killed: it finds its stdin closed', async () => {
    const wrapped = await wrap(oddProgram())
    await wrapped.open()
    await wrapped.kill('SIGKILL')
    await gone(wrapped)
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
  expect((await answered).text).toContain('node was ended: it did not answer initialize within 20 s')
})

test('says what is wrong with how it was started', async () => {
  await expect(wrap([])).rejects.toThrow('stdio: there is no command to run: name one after --')
  await expect(wrap(oddProgram(), { sessions: 0 })).rejects.toThrow('--sessions: expected a number above 0, found 0')
  expect(bearersOf('COMMONS_GATEWAY_STDIO=')).toEqual([])
})

/** MB that the wrapper takes. */
function memoryOf({ pid }: Wrapped): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Looks until two looks in a row agree within a tenth. */
async function settled(look: () => number): Promise<number> {
  let before = look()
  return until('it stays', async () => {
    await new Promise((done) => setTimeout(done, 300))
    const now = look()
    const same = Math.abs(now - before) < before / 10
    before = now
    return same && now
  })
}
