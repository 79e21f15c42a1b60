import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { agentWith, type OpenProxy, openProxy, serverAt, wholeGrant } from '../support/proxy.ts'
import { type Call, openRawServer, type RawServer, textResult } from '../support/raw-server.ts'
import { until } from '../support/until.ts'
import { askOf, enter, messagesOf, type Way } from '../support/wire.ts'

const gates = new Map<string, () => void>()
const question = { message: 'who?', requestedSchema: { type: 'object', properties: {} } }

/** Waits until a test lets it go on, then asks on the stream of no call, and says what it was told. */
const askAside = (name: string) => async (call: Call) => {
  await new Promise<void>((go) => gates.set(name, go))
  const { result } = await call.ask('elicitation/create', question, 'aside')
  return textResult(`${name} heard ${JSON.stringify(result)}`)
}
const hold = (name: string) => async () => {
  await new Promise<void>((go) => gates.set(name, go))
  return textResult(name)
}

let proxy: OpenProxy
let server: RawServer
beforeEach(async () => {
  gates.clear()
  server = await openRawServer({ era: 'legacy', tools: { hold: hold('hold'), ask: askAside('ask') } })
  proxy = await openProxy()
  const s = serverAt('s', server.origin)
  proxy.use({ agents: { a: agentWith('a', { s: wholeGrant }) }, servers: { s } })
  await until('the server is known', () => proxy.gateway.probes.known(s.generation))
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

async function call(way: Way, tool: string) {
  const stream = { text: '' }
  const response = await askOf(way, 'tools/call', { name: `s__${tool}`, arguments: {} }, tool)
  const done = (async () => {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) stream.text += chunk
  })()
  return { stream, done }
}

describe('a server that asks outside of any answer', () => {
  test.each([
    ['the call that came first', ['hold', 'ask']],
    ['the call that came last', ['ask', 'hold']],
  ])('is answered on the stream of a call that goes on when %s has ended', async (_, order) => {
    const way = await enter(proxy, { path: '/mcp', era: 'legacy', agent: 'a', capabilities: { elicitation: {} } })
    const calls = new Map<string, ReturnType<typeof call>>()
    for (const tool of order) {
      calls.set(tool, call(way, tool))
      await until(`${tool} is on its way`, () => gates.has(tool))
    }
    gates.get('hold')?.()
    const session = proxy.gateway.hosting.find(String(way.headers['mcp-session-id']), 'a') ?? expect.fail('no session')
    await until('the other is over', () => session.inFlight.size === 1)
    gates.get('ask')?.()
    const { stream, done } = await (calls.get('ask') ?? expect.fail('no call'))
    const asked = await until('the question is there', () =>
      messagesOf(stream.text).find(({ method }) => method === 'elicitation/create'),
    )
    const body = JSON.stringify({ jsonrpc: '2.0', id: asked.id, result: { action: 'decline' } })
    await fetch(way.url, { method: 'POST', headers: way.headers, body })
    await done
    expect(messagesOf(stream.text).at(-1)).toMatchObject({
      id: 'ask',
      result: textResult('ask heard {"action":"decline"}'),
    })
    await (await (calls.get('hold') ?? expect.fail('no call'))).done
  })
})
