import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openUpstream, type Upstream } from '../support/mcp-upstream.ts'
import { postModern } from '../support/modern.ts'
import { freePort } from '../support/port.ts'
import { agentWith, as, post, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openProxyProcess } from '../support/proxy-process.ts'
import { openTableServer, type TableServer } from '../support/table-server.ts'
import { until } from '../support/until.ts'

let state: string
let controller: TableServer
let upstream: Upstream
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'proxy-'))
  controller = await openTableServer()
  upstream = await openUpstream('v1-sessions')
  controller.publish({
    revision: 1,
    grantsFile: 'gateway-repo manifests/permissions.yaml',
    agents: { a: agentWith('a', { s: wholeGrant }) },
    servers: { s: serverAt('s', upstream.origin) },
    starting: [],
    draining: [],
  })
})
afterEach(async () => {
  await controller[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
  await rm(state, { recursive: true, force: true })
})

const open = async (name: string, port: number) => {
  const proxy = await openProxyProcess({ name, port, socket: controller.socket, state })
  await until(`${name} has the table`, () => controller.latest.get(name)?.have === 1)
  return proxy
}

interface Outcome {
  readonly status: number
  readonly error: string | undefined
  /** Whether the connection had carried a call before. */
  readonly reused: boolean
}

function call(port: number, agent: Agent): Promise<Outcome> {
  const body = JSON.stringify(rpc('tools/call', { name: 's__echo', arguments: { text: 'hi' } }))
  return new Promise((done) => {
    const headers = { ...as('a'), 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request({ port, host: '127.0.0.1', path: '/mcp', method: 'POST', agent, headers }, (answer) => {
      answer.resume()
      const finish = (error?: string) => done({ status: answer.statusCode ?? 0, error, reused: sent.reusedSocket })
      answer.once('end', () => finish())
      answer.once('error', (error) => finish(error.message))
    })
    sent.once('error', (error) => done({ status: 0, error: error.message, reused: sent.reusedSocket }))
    sent.end(body)
  })
}

/** Without it the kernel resets connections that a leaving proxy had not accepted yet; edge sets it in its namespace. */
const migrates = async () =>
  (await readFile('/proc/sys/net/ipv4/tcp_migrate_req', 'utf8').catch(() => '0')).trim() === '1'

describe('replacing a proxy', () => {
  test('under load loses no call', async () => {
    const port = await freePort()
    let serving = await open('p0', port)
    const outcomes: Outcome[] = []
    const stop = new AbortController()
    const clients = Array.from({ length: 8 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      while (!stop.signal.aborted) outcomes.push(await call(port, agent))
      agent.destroy()
    })
    for (const name of ['p1', 'p2']) {
      const next = await open(name, port)
      const before = outcomes.length
      await until('calls went on beside each other', () => outcomes.length > before + 200)
      expect(await serving.leave()).toBe(0)
      serving = next
    }
    stop.abort()
    await Promise.all(clients)
    await serving.leave()
    const lost = outcomes.filter(({ status, error }) => status !== 200 || error !== undefined)
    const kernels = (await migrates()) ? [] : lost.filter(({ reused }) => !reused)
    expect(lost.filter((one) => !kernels.includes(one))).toEqual([])
    expect(kernels.length).toBeLessThan(4)
  }, 90_000)

  test('lets a call in flight finish, ends idle streams at once and hands its sessions over', async () => {
    const port = await freePort()
    const proxy = await open('p', port)
    const both = { ...as('a'), accept: 'application/json, text/event-stream' }
    await post(`${proxy.url}/mcp`, rpc('tools/call', { name: 's__echo', arguments: { text: 'pooled' } }), as('a'))
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }
    const opened = await post(`${proxy.url}/mcp/s`, rpc('initialize', params), both)
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' }
    const stream = await fetch(`${proxy.url}/mcp/s`, { headers: { ...both, accept: 'text/event-stream', ...session } })
    const slow = post(`${proxy.url}/mcp/s`, rpc('tools/call', { name: 'pause' }), { ...both, ...session })
    await until('the call is on its way', () => upstream.seen.some(({ body }) => body.includes('"pause"')))
    const left = proxy.leave()
    expect(await stream.text()).toBe('')
    expect(upstream.release()).toBe(1)
    expect((await slow).text).toContain('paused')
    expect(await left).toBe(0)
    await until('one session is left', () => upstream.sessions === 1)
    const next = await open('q', port)
    const echo = rpc('tools/call', { name: 'echo', arguments: { text: 'still here' } })
    expect((await post(`${next.url}/mcp/s`, echo, { ...both, ...session })).text).toContain('still here')
    // What a proxy asks of a server takes a session for a moment.
    await until('it is the only session', () => upstream.sessions === 1)
    expect(await next.leave()).toBe(0)
  }, 60_000)

  test('a call that waits for its client is called off, and who brings the answer is told that it was begun and not finished', async () => {
    const port = await freePort()
    await using first = await open('first', port)
    const call = (more: Readonly<Record<string, unknown>> = {}) => {
      const params = { name: 's__ask', arguments: {}, ...more }
      const send = (path: string, body: unknown, headers?: Record<string, string>) =>
        post(`http://127.0.0.1:${port}${path}`, body, headers)
      return postModern({ post: send }, { method: 'tools/call', params, capabilities: { elicitation: {} } })
    }
    const { requestState, inputRequests } = (await call()).json.result
    expect(Object.keys(inputRequests)).toEqual(['r1'])
    await using second = await open('second', port)
    expect(await first.leave()).toBe(0)
    const told = (text: string) => upstream.seen.filter(({ body }) => body.includes(text)).length
    expect(told('notifications/cancelled')).toBe(1)
    expect(upstream.sessions).toBe(0)
    const inputResponses = { r1: { action: 'accept', content: { name: 'Ann' } } }
    const { status, json } = await call({ requestState, inputResponses })
    expect([status, json.error.code]).toEqual([200, -32603])
    expect(json.error.message).toMatch(/^This call of s was begun and not finished: .* was replaced/)
    expect(told('"tools/call"')).toBe(1)
    expect(second.output()).not.toContain('a request failed')
  })
})
