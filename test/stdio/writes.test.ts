import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { faultOf, initialize, oddProgram, textOf, type Wrapped, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

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
    expect(faultOf(await wrapped.send('POST', initialize()))).toBe('the program was ended: it writes logs to stdout')
    const probed = await wrapped.send('POST', initialize(), { 'user-agent': 'commons-gateway-probe' })
    expect(faultOf(probed)).toBe(
      'the program was ended: it writes logs to stdout; its last words: "INFO line 0 [SECRET]"',
    )
    await wrapped.empty()
  })

  test('7 MB in a line is heard, and one that writes 20 MB is ended', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    expect(textOf(await session.call('long', { bytes: 7_000_000 }))).toHaveLength(7_000_000)
    expect(faultOf(await session.call('long', { bytes: 20_000_000 }))).toBe(
      'the program was ended: it wrote a line of more than 8388608 bytes',
    )
    await wrapped.empty()
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
        params: { name: 'flood', arguments: { count: 200, bytes: 1_000_000 } },
      }),
    })
    const reader = response.body!.getReader()
    await reader.read()
    const before = await settled(() => memoryOf(wrapped))
    expect(before).toBeLessThan(180)
    let bytes = 0
    for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length
    expect(bytes).toBeGreaterThan(195_000_000)
  })

  test('what nobody listens to keeps only the newest of it', async () => {
    const wrapped = await wrap(oddProgram())
    const session = await wrapped.open()
    const answered = await session.call('flood', { count: 300, bytes: 1_000_000 }, { accept: 'application/json' })
    expect(textOf(answered)).toBe('done')
    expect(memoryOf(wrapped)).toBeLessThan(350)
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
