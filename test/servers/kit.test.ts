import { createServer } from 'node:http'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { wholeNumber, yesNo } from '../../servers/kit/input.ts'
import { type Options, serve } from '../../servers/kit/serve.ts'
import { addTool, type McpServer, ToolFailure } from '../../servers/kit/tool.ts'
import { connectCurl, everyClient } from '../support/mcp-clients.ts'
import { failProgram, startProgram } from '../support/program.ts'

const main = fileURLToPath(new URL('kit-program.ts', import.meta.url))
const json = { 'content-type': 'application/json' }

function register(server: McpServer): void {
  const input = z.strictObject({ number: z.coerce.number().int().max(5).optional(), word: z.string().optional() })
  addTool(server, { name: 'echo', title: 'Echo', description: 'Says it again', input }, (given) =>
    JSON.stringify(given),
  )
  const bare = { title: 'Fails', description: 'Never works', input: z.strictObject({}) }
  addTool(server, { ...bare, name: 'refuse' }, () => {
    throw new ToolFailure('not on a Sunday')
  })
  addTool(server, { ...bare, name: 'break' }, () => {
    throw new TypeError('the inside of the server')
  })
}

async function served(options: Options = {}) {
  const environment = { PORT: '0', LOG_LEVEL: 'silent' }
  const running = await serve({ name: 'kit', version: '1' }, register, { environment, ...options })
  onTestFinished(running.close)
  return running
}

describe.each(Object.entries(everyClient))('%s', (_, connectClient) => {
  test('lists tools and calls one', async () => {
    const { url } = await served()
    for (const path of ['/mcp', '/mcp/']) {
      const client = await connectClient(url + path)
      expect(await client.listTools()).toEqual(['echo', 'refuse', 'break'])
      expect(await client.callTool('echo', { number: 3, word: 'hi' })).toMatchObject({
        said: '{"number":3,"word":"hi"}',
        isError: false,
      })
      await client.close()
    }
  })
})

describe('a tool', () => {
  const call = async (name: string, args: Readonly<Record<string, unknown>> = {}) =>
    (await connectCurl(`${(await served()).url}/mcp`)).callTool(name, args)

  test('takes numbers that were written as text', async () => {
    expect(await call('echo', { number: '4' })).toMatchObject({ said: '{"number":4}', isError: false })
  })

  test('takes blank and null for absent', async () => {
    expect(await call('echo', { number: '', word: null })).toMatchObject({ said: '{}', isError: false })
  })

  test('names every argument that is wrong', async () => {
    const { text, isError } = await call('echo', { number: 6, wrod: 'x' })
    expect(isError).toBe(true)
    expect(text).toContain('number: Too big')
    expect(text).toContain('"wrod"; there are number, word')
  })

  test('answers its failure in its own words', async () => {
    expect(await call('refuse')).toMatchObject({ said: 'not on a Sunday', isError: true })
  })

  test('keeps the inside of the server to itself', async () => {
    const { text, isError } = await call('break')
    expect(isError).toBe(true)
    expect(text).toBe('break failed inside the server; its log says why')
  })
})

describe('an argument', () => {
  test.each([
    [4, 4],
    [' 4 ', 4],
    ['ten', 'give a whole number, 1 to 5'],
    [6, 'give a whole number, 1 to 5'],
    [1.5, 'give a whole number, 1 to 5'],
    [true, 'give a whole number, 1 to 5'],
    [[3], 'give a whole number, 1 to 5'],
  ])('that is a whole number may be %j: %j', (given, made) => {
    const { data, error } = wholeNumber(1, 5).safeParse(given)
    expect(data ?? error?.issues[0]?.message).toBe(made)
  })

  test.each([
    ['True', true],
    [false, false],
    [1, 'give true or false'],
  ])('that is true or false may be %j: %j', (given, made) => {
    const { data, error } = yesNo.safeParse(given)
    expect(data ?? error?.issues[0]?.message).toBe(made)
  })
})

describe('the door', () => {
  const get = async (path: string, init: RequestInit = {}, options: Options = {}) => {
    const response = await fetch((await served(options)).url + path, init)
    const type = response.headers.get('content-type')?.split(';')[0]
    return { status: response.status, type, body: await response.text() }
  }

  test('says that it lives', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, body: '{"status":"ok"}' })
  })

  test.each(['/readyz', '/health'])('says at %s whether it can work, and why not', async (path) => {
    expect(await get(path)).toMatchObject({ status: 200 })
    const ready = async () => 'no browser'
    expect(await get(path, {}, { ready })).toMatchObject({
      status: 503,
      body: '{"status":"unready","reason":"no browser"}',
    })
  })

  test('is not ready when the check itself fails, and does not say more', async () => {
    const ready = () => Promise.reject(new Error('a secret path'))
    const { status, body } = await get('/readyz', {}, { ready })
    expect(status).toBe(503)
    expect(body).not.toContain('secret')
  })

  const post = { method: 'POST', headers: json }
  test.each([
    ['an unknown path', '/nope', {}, 404],
    ['a GET where there are no sessions', '/mcp', {}, 405],
    ['a DELETE where there are no sessions', '/mcp', { method: 'DELETE' }, 405],
    ['a page in a browser', '/mcp', { ...post, headers: { ...json, origin: 'http://a.example' }, body: '{}' }, 403],
    ['broken JSON', '/mcp', { ...post, body: '{"jsonrpc"' }, 400],
    ['an empty body', '/mcp', { ...post, body: '' }, 400],
    ['a form', '/mcp', { method: 'POST', body: new URLSearchParams({ a: 'b' }) }, 415],
    ['a body over 4 MiB', '/mcp', { ...post, body: 'a'.repeat(5 * 1024 * 1024) }, 413],
  ] satisfies [string, string, RequestInit, number][])('answers %s with JSON', async (_, path, init, status) => {
    const answer = await get(path, init)
    expect(answer).toMatchObject({ status, type: 'application/json' })
    expect(JSON.parse(answer.body)).toHaveProperty('error')
    expect(answer.body).not.toContain('.ts')
  })

  test('closes once, whoever asks', async () => {
    let stopped = 0
    const { url, close } = await served({ stop: async () => void stopped++ })
    await Promise.all([close(), close()])
    expect(stopped).toBe(1)
    await expect(fetch(`${url}/healthz`)).rejects.toThrow()
  })
})

describe('the program', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('finishes calls in flight on %s and ends', async (signal) => {
    const program = await startProgram(main)
    const client = await connectCurl(`${program.url}/mcp`)
    const call = client.callTool('wait')
    await expect.poll(() => program.lines.map(({ msg }) => msg)).toContain('waiting')
    program.kill(signal)
    expect(await call).toMatchObject({ said: 'done', isError: false })
    expect(await program.ended).toBe(0)
  })

  test('ends although a call never does', async () => {
    const program = await startProgram(main)
    const call = (await connectCurl(`${program.url}/mcp`)).callTool('hang')
    const broken = expect(call).rejects.toThrow()
    await expect.poll(() => program.lines.map(({ msg }) => msg)).toContain('hanging')
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
    await broken
  })

  test('ends although a client keeps its connection', async () => {
    const program = await startProgram(main)
    const { port, hostname } = new URL(program.url)
    const socket = connect(Number(port), hostname)
    onTestFinished(() => {
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.write('POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{')
    await expect.poll(() => socket.bytesWritten).toBeGreaterThan(0)
    program.kill('SIGTERM')
    expect(await program.ended).toBe(0)
  })

  test('says in one line that the port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await expect.poll(() => other.listening).toBe(true)
    const { port } = z.object({ port: z.number() }).parse(other.address())
    const { code, lines } = await failProgram(main, { PORT: String(port) })
    expect(code).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual([
      `PORT=${port}: another program listens on 127.0.0.1:${port}; stop it or give another port`,
    ])
  })

  test('says in one line what is wrong in the environment', async () => {
    const { code, lines } = await failProgram(main, { PORT: '70000', LOG_LEVEL: 'loud', HOST: '192.0.2.1' })
    expect(code).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual([
      'PORT="70000": give a port, 0 (any free one) to 65535; ' +
        'LOG_LEVEL="loud": give one of trace, debug, info, warn, error, fatal, silent',
    ])
  })

  test('says in one line that the machine lacks the address', async () => {
    const { code, lines } = await failProgram(main, { PORT: '0', HOST: '192.0.2.1' })
    expect(code).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual(['HOST="192.0.2.1": this machine has no such address'])
  })
})
