import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Reply } from '../../stdio/reply.ts'
import { portOf } from '../support/port.ts'
import { messagesOf, oddProgram, textOf, wrap } from '../support/stdio.ts'
import { until } from '../support/until.ts'

test('gives each session a program of its own, and keeps it between calls', async () => {
  const wrapped = await wrap(oddProgram())
  const [one, other] = [await wrapped.open(), await wrapped.open()]
  expect(textOf(await one.call('pid'))).not.toBe(textOf(await other.call('pid')))
  await one.call('count')
  expect(textOf(await one.call('count'))).toBe('2')
  expect(textOf(await other.call('count'))).toBe('1')
  expect(wrapped.programs()).toHaveLength(2)
})

test('answers fifty calls at once in one session, each with its own answer', async () => {
  const session = await (await wrap(oddProgram())).open()
  const values = Array.from({ length: 50 }, (_, n) => `value ${n}`)
  const answers = await Promise.all(values.map((value) => session.call('echo', { value })))
  expect(answers.map(textOf)).toEqual(values)
})

test('gives answers to who asked, in whatever order they come', async () => {
  const session = await (await wrap(oddProgram())).open()
  const slow = session.call('slow', { ms: 300, value: 'slow' }, { id: 'a' })
  const quick = await session.call('echo', { value: 'quick' }, { id: 'b' })
  expect([quick.json.id, textOf(quick)]).toEqual(['b', 'quick'])
  const late = await slow
  expect([late.json.id, textOf(late)]).toEqual(['a', 'slow'])
})

test('keeps ids as they are: 0, an empty text, a long number', async () => {
  const session = await (await wrap(oddProgram())).open()
  expect((await session.call('echo', {}, { id: 0 })).json.id).toBe(0)
  expect((await session.call('echo', {}, { id: '' })).json.id).toBe('')
})

test('drops a second answer to the same request', async () => {
  const session = await (await wrap(oddProgram())).open()
  expect(textOf(await session.call('twice', {}, { id: 1 }))).toBe('first')
  expect(textOf(await session.call('echo', { value: 'other' }, { id: 2 }))).toBe('other')
})

test('refuses an id that is in use', async () => {
  const session = await (await wrap(oddProgram())).open()
  const slow = session.call('slow', { ms: 300, value: 'slow' }, { id: 7 })
  const twin = await session.call('echo', {}, { id: 7 })
  expect([twin.status, twin.json.error.message]).toEqual([400, 'Invalid request: the id 7 is in use'])
  expect(textOf(await slow)).toBe('slow')
})

test('brings text of many bytes whole, wherever it is cut on its way', async () => {
  const session = await (await wrap(oddProgram())).open()
  for (const letter of ['ä', '€', '😀']) {
    const bytes = Math.ceil(200_000 / Buffer.byteLength(letter))
    expect(textOf(await session.call('long', { bytes, letter }))).toBe(letter.repeat(bytes))
  }
  const value = '€'.repeat(65_536)
  expect(textOf(await session.call('echo', { value }))).toBe(value)
})

test('takes a body with line breaks as one message', async () => {
  const wrapped = await wrap(oddProgram())
  const session = await wrapped.open()
  const message = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'echo', arguments: { value: 'a\nb' } },
  }
  const body = JSON.stringify(message, null, 2).replaceAll('\n', '\r\n')
  expect(textOf(await wrapped.send('POST', body, session.headers))).toBe('a\nb')
})

test('tells of progress before the answer, as a stream where the client reads one and not at all where it does not', async () => {
  const session = await (await wrap(oddProgram())).open()
  const streamed = await session.call('progress', { steps: 3 }, { token: 'p' })
  expect(streamed.type).toBe('text/event-stream')
  expect(streamed.messages.slice(0, 3).map(({ params }) => params)).toEqual([
    { progressToken: 'p', progress: 1 },
    { progressToken: 'p', progress: 2 },
    { progressToken: 'p', progress: 3 },
  ])
  expect(textOf(streamed)).toBe('done')
  const plain = await session.call('progress', { steps: 3 }, { token: 'p', accept: '*/*' })
  expect([plain.type, textOf(plain)]).toEqual(['application/json', 'done'])
})

test('gives progress to the call that it is of', async () => {
  const session = await (await wrap(oddProgram())).open()
  const both = await Promise.all(['a', 'b'].map((token) => session.call('progress', { steps: 5 }, { token })))
  for (const [n, { messages }] of both.entries())
    expect(new Set(messages.slice(0, -1).map(({ params }) => params.progressToken))).toEqual(new Set([['a', 'b'][n]]))
})

test('brings a question of the program to the call that it is for, and the reply back', async () => {
  const wrapped = await wrap(oddProgram())
  const session = await wrapped.open({ capabilities: { elicitation: {} } })
  const response = await fetch(wrapped.endpoint, {
    method: 'POST',
    headers: { ...session.headers, accept: 'text/event-stream', 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'asks' } }),
  })
  let text = ''
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString()
    const [question] = messagesOf(text)
    if (messagesOf(text).length === 1) {
      expect(question).toMatchObject({ id: 'q0', method: 'elicitation/create' })
      const reply = await session.send({ id: 'q0', result: { action: 'accept', content: { name: 'Ann' } } })
      expect(reply.status).toBe(202)
    }
  }
  const [, answer] = messagesOf(text)
  expect(answer).toMatchObject({
    id: 1,
    result: { content: [{ text: '{"action":"accept","content":{"name":"Ann"}}' }] },
  })
})

test('tells of changes on the stream that the client opens, also of those before it; a newer stream takes its place', async () => {
  const wrapped = await wrap(oddProgram())
  const session = await wrapped.open()
  await session.call('changes')
  const listen = async () => {
    const response = await fetch(wrapped.endpoint, { headers: { ...session.headers, accept: 'text/event-stream' } })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    return { next: async () => (await reader.read()).value ?? 'ended' }
  }
  const first = await listen()
  expect(await first.next()).toContain('notifications/tools/list_changed')
  const second = await listen()
  expect(await first.next()).toBe('ended')
  await session.call('changes')
  expect(await second.next()).toContain('notifications/tools/list_changed')
  await session.end()
  expect(await second.next()).toBe('ended')
})

test('passes a cancellation on, and ends the request', async () => {
  const session = await (await wrap(oddProgram())).open()
  const calls = ['application/json', 'text/event-stream'].map((accept, id) => session.call('never', {}, { id, accept }))
  for (const requestId of [0, 1]) await session.send({ method: 'notifications/cancelled', params: { requestId } })
  const [plain, stream] = await Promise.all(calls)
  expect(plain!.json.error.message).toBe('The request was cancelled')
  expect([stream!.type, stream!.text]).toEqual(['text/event-stream', ''])
  expect(textOf(await session.call('cancelled'))).toBe('[0,1]')
})

test('goes on with a session whose client hung up in a call', async () => {
  const session = await (await wrap(oddProgram())).open()
  const leaving = new AbortController()
  const call = session.call('slow', { ms: 200, value: 'x' }, { id: 1, signal: leaving.signal })
  setTimeout(() => leaving.abort(), 50)
  await expect(call).rejects.toThrow()
  expect(textOf(await session.call('echo', { value: 'still here' }, { id: 2 }))).toBe('still here')
  expect(textOf(await session.call('cancelled', {}, { id: 3 }))).toBe('[]')
})

test('gives its programs what is theirs of the environment, and not where the wrapper listens', async () => {
  const wrapped = await wrap(oddProgram(), {
    env: { HOME: '/tmp', COMMONS_GATEWAY_ASIDE_NODE_OPTIONS: '--no-warnings', NODE_OPTIONS: '' },
  })
  const env = JSON.parse(textOf(await (await wrapped.open()).call('env')))
  expect(env).toMatchObject({ HOME: '/tmp', NODE_OPTIONS: '--no-warnings', PATH: process.env.PATH })
  expect(Object.keys(env).filter((name) => /^(HOST|PORT|.*ASIDE.*)$/.test(name))).toEqual([])
})

test('gives a sign of life every fifteen seconds to who waits for a stream', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const server = createServer((_, response) => void new Reply(response, true)).listen(0)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const asked = fetch(`http://127.0.0.1:${portOf(server)}`)
  await once(server, 'request')
  vi.advanceTimersByTime(15_000)
  const { value } = await (await asked).body!.getReader().read()
  expect(Buffer.from(value!).toString()).toBe(':\n\n')
})

test('keeps a call that is waited for although nothing is said for longer than an idle session lasts', async () => {
  const wrapped = await wrap(oddProgram(), { idle: 200 })
  const session = await wrapped.open()
  expect(textOf(await session.call('slow', { ms: 700, value: 'patience' }))).toBe('patience')
  await until('it is ended for its idleness', () => wrapped.programs().length === 0)
  expect((await session.call('echo')).status).toBe(404)
})
