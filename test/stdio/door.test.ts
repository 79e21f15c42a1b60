import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ask, initialize, oddProgram, textOf, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

test('serves exactly its path, with and without a slash, and tells of everything else in JSON', async () => {
  const wrapped = await wrap(oddProgram(), { flags: ['--path', '/api/mcp/'] })
  const at = (path: string, method = 'POST') =>
    ask(`${wrapped.origin}${path}`, {
      method,
      body: method === 'POST' ? initialize() : undefined,
      headers: {},
      signal: undefined,
    })
  for (const path of ['/api/mcp', '/api/mcp/', '/api/mcp?x=1']) expect((await at(path)).status, path).toBe(200)
  for (const path of ['/', '/mcp', '/api', '/api/mcp/more', '/api/mcpx']) {
    const { status, json } = await at(path)
    expect([status, json], path).toEqual([404, { error: 'not_found' }])
  }
  const put = await at('/api/mcp', 'PUT')
  expect([put.status, put.headers.get('allow'), put.json.error.code]).toEqual([405, 'GET, POST, DELETE', -32000])
})

test.for([
  ['/', '/up/'],
  ['/mcp/?key=1', '/up?deep=1'],
] as const)('is where its manifest says, at %s and %s', async ([path, health]) => {
  const wrapped = await wrap(oddProgram(), { flags: ['--path', path, '--health', health] })
  const opened = await ask(`${wrapped.origin}${path}`, {
    method: 'POST',
    body: initialize(),
    headers: {},
    signal: undefined,
  })
  const looked = await ask(`${wrapped.origin}${health}`, {
    method: 'GET',
    body: undefined,
    headers: {},
    signal: undefined,
  })
  expect([opened.status, looked.status]).toEqual([200, 200])
})

test('says how it is at its health path', async () => {
  const wrapped = await wrap(oddProgram(), { flags: ['--health', '/up'] })
  await wrapped.open()
  const { status, json } = await ask(`${wrapped.origin}/up`, {
    method: 'GET',
    body: undefined,
    headers: {},
    signal: undefined,
  })
  expect([status, json]).toEqual([200, { status: 'healthy', sessions: 1 }])
})

test('knows no session that it did not give, and none after its end', async () => {
  const wrapped = await wrap(oddProgram())
  const session = await wrapped.open()
  expect((await session.end()).status).toBe(200)
  for (const id of ['made-up', session.id])
    for (const method of ['POST', 'GET', 'DELETE']) {
      const answered = await wrapped.send(method, method === 'POST' ? list : undefined, { 'mcp-session-id': id })
      expect([answered.status, answered.json.error.code, answered.json.error.message]).toEqual([
        404,
        -32001,
        'Session not found',
      ])
    }
  expect(wrapped.programs()).toEqual([])
})

test('asks for a session where there is none', async () => {
  const wrapped = await wrap(oddProgram())
  const posted = await wrapped.send('POST', list)
  expect([posted.status, posted.json]).toEqual([
    400,
    {
      jsonrpc: '2.0',
      id: 1,
      error: { code: -32000, message: 'Bad Request: no Mcp-Session-Id; send initialize first' },
    },
  ])
  for (const method of ['GET', 'DELETE']) expect((await wrapped.send(method)).status).toBe(400)
  expect(wrapped.programs()).toEqual([])
})

test('opens a new session for initialize with the id of an old one', async () => {
  const wrapped = await wrap(oddProgram())
  const { headers, status } = await wrapped.send('POST', initialize(), { 'mcp-session-id': 'old' })
  expect(status).toBe(200)
  expect(headers.get('mcp-session-id')).not.toBe('old')
})

test.for([
  ['what is not JSON', '{"jsonrpc"', 400, -32700],
  ['a batch', JSON.stringify([list, list]), 400, -32600],
  ['an empty batch', '[]', 400, -32600],
  ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600],
  ['an id that is null', '{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600],
  ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}', 400, -32600],
  ['a text', '"hello"', 400, -32600],
] as const)('refuses %s', async ([, body, status, code]) => {
  const wrapped = await wrap(oddProgram())
  const { headers } = await wrapped.open()
  const answered = await wrapped.send('POST', body, headers)
  expect([answered.status, answered.json.error.code]).toEqual([status, code])
})

test('refuses another media type, bytes that are no text, and a version that it does not know', async () => {
  const wrapped = await wrap(oddProgram())
  const { headers } = await wrapped.open()
  const form = await wrapped.send('POST', list, { ...headers, 'content-type': 'application/x-www-form-urlencoded' })
  expect([form.status, form.json.error.message]).toEqual([415, 'Content-Type must be application/json'])
  const response = await fetch(wrapped.endpoint, {
    method: 'POST',
    body: Buffer.from([0x22, 0xff, 0x22]),
    headers: { 'content-type': 'application/json' },
  })
  expect([response.status, (await response.text()).includes('-32700')]).toEqual([400, true])
  const future = await wrapped.send('POST', list, { ...headers, 'mcp-protocol-version': '2030-01-01' })
  expect([future.status, future.json.error.message]).toEqual([
    400,
    'Bad Request: unsupported MCP-Protocol-Version 2030-01-01',
  ])
})

test('takes a body of 2 MB, and refuses one of more than 8 MiB', async () => {
  const wrapped = await wrap(oddProgram())
  const session = await wrapped.open()
  expect(textOf(await session.call('echo', { value: 'v'.repeat(2_000_000) }))).toHaveLength(2_000_000)
  const large = await session.call('echo', { value: 'v'.repeat(8 * 1024 * 1024) })
  expect([large.status, large.json.error.message]).toEqual([413, 'The request body has more than 8388608 bytes'])
  expect(textOf(await session.call('echo', { value: 'still here' }))).toBe('still here')
})

test('answers in JSON whoever does not ask for a stream', async () => {
  const session = await (await wrap(oddProgram())).open()
  for (const accept of ['*/*', 'application/json', 'text/html']) {
    const { status, type } = await session.call('progress', { steps: 2 }, { accept, token: 'p' })
    expect([status, type], accept).toEqual([200, 'application/json'])
  }
})

test('refuses pages of browsers, and names that somebody made mean this address', async () => {
  const wrapped = await wrap(oddProgram())
  const page = await wrapped.send('POST', initialize(), { origin: 'https://evil.example' })
  expect([page.status, page.json.error.message]).toEqual([403, 'Requests of web pages are not accepted'])
  expect(await rawRequest(wrapped.origin, 'evil.example')).toMatch(/^HTTP\/1\.1 403 /)
  expect(await rawRequest(wrapped.origin, 'localhost:3000')).toMatch(/^HTTP\/1\.1 400 /)
  expect(wrapped.programs()).toEqual([])
})

async function rawRequest(origin: string, host: string): Promise<string> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  socket.end(`GET /mcp HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

test('passes what the program says of wrong arguments', async () => {
  const session = await (await wrap(oddProgram())).open()
  const { status, json } = await session.call('no such tool')
  expect([status, json.error]).toEqual([200, { code: -32602, message: 'Unknown tool: no such tool' }])
})

test('lets as many sessions be as its limit says, says when to come back, and lets the next one in after an end', async () => {
  const wrapped = await wrap(oddProgram(), { sessions: 2 })
  const [first] = await Promise.all([wrapped.open(), wrapped.open()])
  const third = await wrapped.send('POST', initialize())
  expect([third.status, third.headers.get('retry-after'), third.json.error.message]).toEqual([
    503,
    '5',
    'all 2 sessions of this server are in use',
  ])
  const [, opened] = await Promise.all([first.end(), wrapped.open()])
  expect(textOf(await opened.call('echo', { value: 'in' }))).toBe('in')
  expect(wrapped.programs()).toHaveLength(2)
})

test('keeps one program for the probes of the gateway, beside those of its sessions', async () => {
  const wrapped = await wrap(oddProgram(), { sessions: 1 })
  const session = await wrapped.open()
  const probing = { headers: { 'user-agent': 'commons-gateway-probe' } }
  const pids = []
  for (let probe = 0; probe < 3; probe++) {
    const probed = await wrapped.open(probing)
    pids.push(textOf(await probed.call('pid')))
    await probed.end()
    expect((await probed.call('pid')).status).toBe(404)
  }
  expect(new Set(pids).size).toBe(1)
  expect(wrapped.programs()).toHaveLength(2)
  const stuck = await wrapped.open(probing)
  await expect(stuck.call('never', {}, { signal: AbortSignal.timeout(200) })).rejects.toThrow()
  await stuck.end()
  expect(textOf(await (await wrapped.open(probing)).call('pid'))).not.toBe(pids[0])
  expect(textOf(await session.call('echo', { value: 'undisturbed' }))).toBe('undisturbed')
})

test('leaves a program that starts slowly to the next probe, where the first does not wait for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stdio-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const flag = join(folder, 'ready')
  const start = `echo begun >&2; until [ -e ${flag} ]; do sleep 0.1; done; exec ${oddProgram().join(' ')}`
  const wrapped = await wrap(['/bin/sh', '-c', start])
  const probing = { 'user-agent': 'commons-gateway-probe' }
  const leaving = new AbortController()
  const first = wrapped.send('POST', initialize(), probing, leaving.signal)
  await until('it has been started', () => wrapped.log().includes('begun'))
  leaving.abort()
  await expect(first).rejects.toThrow()
  const next = wrapped.open({ headers: probing })
  writeFileSync(flag, '')
  expect(textOf(await (await next).call('echo', { value: 'here' }))).toBe('here')
  expect(wrapped.log().match(/begun/g)).toHaveLength(1)
})
