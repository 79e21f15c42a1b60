import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openListener, type Upstream } from '../support/mcp-upstream.ts'
import { agentWith, as, type OpenProxy, openProxy, rpc, serverAt, wholeGrant } from '../support/proxy.ts'

/** An answer as an event stream that arrives in small pieces, with all that the format allows. */
const stream = [
  ': a sign of life\n\n',
  'id: 1\nretry: 2000\ndata:\n\n',
  'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/message",\r\ndata: "params":{"level":"info","data":"ü"}}\r\n\r\n',
  'id: 2\nevent: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"},{"name":"secret"}],"big":12345678901234567890}}\n\n',
].join('')

let proxy: OpenProxy
let upstream: Upstream
beforeEach(async () => {
  proxy = await openProxy()
  upstream = await openListener(async (request, response) => {
    const { method } = JSON.parse(Buffer.concat(await request.toArray()).toString())
    if (method !== 'tools/list') {
      response.writeHead(400).end()
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    for (const byte of Buffer.from(stream)) {
      response.write(Buffer.of(byte))
      await turn()
    }
    response.end()
  })
  const narrow = { tools: ['echo'], prompts: [], resources: [] }
  proxy.use({
    agents: { whole: agentWith('whole', { s: wholeGrant }), narrow: agentWith('narrow', { s: narrow }) },
    servers: { s: serverAt('s', upstream.origin) },
  })
})
afterEach(async () => {
  await proxy[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const list = (agent: string, accept: string) => proxy.post('/mcp/s', rpc('tools/list'), { ...as(agent), accept })

describe('an event stream in pieces', () => {
  test('passes byte for byte under a whole grant', async () => {
    const { text, headers } = await list('whole', 'application/json, text/event-stream')
    expect(text).toBe(stream)
    expect(headers.get('content-type')).toBe('text/event-stream')
    expect(headers.get('cache-control')).toBe('no-cache, no-transform')
    expect(headers.get('x-accel-buffering')).toBe('no')
  })

  test('loses only what is not granted under a narrow one', async () => {
    const { text } = await list('narrow', 'text/event-stream, application/json')
    expect(text).not.toContain('secret')
    expect(text).toContain(
      'data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"echo"}],"big":12345678901234567890}}',
    )
    expect(text).toContain('id: 1\nretry: 2000\ndata:\n\n')
    expect(text).toContain('id: 2\n')
    expect(text).toContain('"data":"ü"')
  })

  test.each([
    ['whole', ['echo', 'secret']],
    ['narrow', ['echo']],
  ])('becomes one JSON answer where the client takes no stream, for a %s grant', async (agent, names) => {
    const { text, json, headers } = await list(agent, '*/*')
    expect(headers.get('content-type')).toBe('application/json')
    expect(json.result.tools.map(({ name }: { name: string }) => name)).toEqual(names)
    expect(text).toContain('12345678901234567890')
  })
})
