import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDockerHost } from '../../controller/docker/docker.ts'
import type { Host } from '../../controller/host.ts'
import { createPublisher, type Publisher } from '../../controller/publish.ts'
import { emptyDraft } from '../../controller/routes.ts'
import { makeState } from '../../controller/state-folder.ts'
import { openTableSocket } from '../../controller/table-socket.ts'
import { buildInputOf } from '../support/build-input.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { startLoad } from '../support/load.ts'
import { baseImage, suite } from '../support/machine.ts'
import { freePort } from '../support/port.ts'
import { productOfCheckout } from '../support/product.ts'
import { agentWith, as, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { find, generationOf, requestOf } from '../support/stage.ts'
import { until } from '../support/until.ts'

const signal = AbortSignal.timeout(600_000)
const minute = 60_000
/** How long a proxy that leaves may take; it takes four seconds for connections that are idle. */
const patience = 70_000

/** One tool. */
const talker = buildInputOf({
  Dockerfile: `FROM ${baseImage}\nWORKDIR /srv\nCOPY main.mjs .\nCMD ["node", "main.mjs"]\n`,
  'main.mjs': `
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

const answers = {
  initialize: ({ protocolVersion }) =>
    ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'talker', version: '1.0.0' } }),
  'tools/list': () => ({ tools: [{ name: 'say', inputSchema: { type: 'object' } }] }),
  'tools/call': () => ({ content: [{ type: 'text', text: 'said' }] }),
}
createServer(async (request, response) => {
  const { id, method, params } = JSON.parse(await text(request))
  if (id === undefined) return response.writeHead(202).end()
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method]?.(params) ?? {} }))
}).listen(Number(process.env.PORT), process.env.HOST)
`,
})

suite('a proxy behind its edge', ['docker', 'product'], () => {
  const instance = testInstance()
  let state: string
  let port: number
  let publisher: Publisher
  let socket: AsyncDisposable
  let product: Awaited<ReturnType<typeof productOfCheckout>>
  let host: Host
  const agents: Agent[] = []

  beforeAll(async () => {
    state = await mkdtemp(join(tmpdir(), 'gateway-handover-'))
    await makeState(state)
    port = await freePort()
    publisher = createPublisher({ readTable: () => undefined, writeTable: () => {} }, emptyDraft('a test'))
    product = await productOfCheckout()
    host = await openVersion(0)
    await host.prepare(() => {}, signal)
    await host.startEdge(signal)
    const generation = generationOf(talker, { server: 'talker' })
    await host.build(requestOf('talker', talker), signal)
    await host.start(generation, signal)
    const { upstream } = await find(host, generation.spec)
    publisher.publish((draft) => ({
      ...draft,
      agents: { a: agentWith('a', { talker: wholeGrant }) },
      servers: { talker: serverAt('talker', upstream) },
    }))
    socket = await openTableSocket(join(state, 'run'), publisher)
    await replaceBy(0)
  }, 5 * minute)

  afterAll(async () => {
    for (const agent of agents) agent.destroy()
    await removeInstance(instance)
    await socket?.[Symbol.asyncDispose]()
    if (state !== undefined) await rm(state, { recursive: true, force: true })
  }, 2 * minute)

  test('(15) is replaced twenty times under 24 connections, and none is refused or reset', {
    timeout: 5 * minute,
  }, async () => {
    const calls = [...Array(20).keys()].map((at) => startLoad(at < 12 ? callOnKept() : () => call(false), 1))
    const streams = [...Array(4).keys()].map(() => startLoad(stream, 1))
    const leaving: Promise<void>[] = []
    for (let version = 1; version <= 20; version++) {
      leaving.push(leave(await replaceBy(version)))
      await leaving.at(-3)
    }
    const called = await Promise.all(calls.map((load) => load.stop()))
    const streamed = Promise.all(streams.map((load) => load.stop()))
    leaving.push(leave(await replaceBy(21)))
    await Promise.all(leaving)
    expect([...called, ...(await streamed)].flatMap(({ failures }) => failures)).toEqual([])
    for (const { calls } of called) expect(calls).toBeGreaterThan(100)
    for (const { calls } of await streamed) expect(calls).toBeGreaterThanOrEqual(20)
    expect((await host.observe(signal)).proxies).toHaveLength(1)
  })

  /** A host whose proxies differ from every other version's by their environment. */
  async function openVersion(version: number): Promise<Host> {
    const url = `http://version-${version}.example`
    const listen = { host: '127.0.0.1', port }
    const options = { instance, state, listen, url, subnets: '10.213.0.0/16', networks: [], product }
    return openDockerHost(options, signal)
  }

  /** Starts the proxy of a version and waits until it has the table; gives the id of the one before. */
  async function replaceBy(version: number): Promise<string> {
    const { proxies } = await host.observe(signal)
    const [before] = proxies.toSorted((a, b) => b.startedAt - a.startedAt)
    const next = await openVersion(version)
    await next.startProxy(signal)
    const after = (await next.observe(signal)).proxies.find(({ spec }) => spec === next.wantedFrom().proxy)
    await until('the new proxy has the table', () => hasTable(after?.name ?? ''), minute)
    return before?.id ?? ''
  }

  function hasTable(name: string): boolean {
    return publisher.heard.get(name)?.report.have === publisher.table?.revision
  }

  async function leave(id: string): Promise<void> {
    await host.stop(id, signal, patience)
    await host.remove(id, signal)
  }

  function callOnKept(): () => Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    agents.push(agent)
    return () => call(agent)
  }

  /** One call; it fails where its connection is refused or reset, or anything but the tool's word comes back. */
  async function call(agent: Agent | false): Promise<void> {
    await sleep(Math.random() * 30)
    const answer = await send(agent, rpc('tools/call', { name: 'say', arguments: {} }), {})
    if (!answer.includes('"said"')) throw new Error(answer)
  }

  /** One stream from its opening to its end, which the proxy brings about when it leaves. */
  async function stream(): Promise<void> {
    const version = '2026-07-28'
    const headers = { 'mcp-protocol-version': version, 'mcp-method': 'subscriptions/listen' }
    const capabilities = { 'io.modelcontextprotocol/clientCapabilities': {} }
    const _meta = { 'io.modelcontextprotocol/protocolVersion': version, ...capabilities }
    const answer = await send(false, rpc('subscriptions/listen', { notifications: {}, _meta }), headers)
    if (!/acknowledged[\s\S]*"resultType":"complete"/.test(answer)) throw new Error(answer)
  }

  async function send(agent: Agent | false, message: object, more: Record<string, string>): Promise<string> {
    const accept = 'application/json, text/event-stream'
    const headers = { ...as('a'), 'content-type': 'application/json', accept, ...more }
    const asked = request({ host: '127.0.0.1', port, path: '/mcp/talker', method: 'POST', agent, headers })
    asked.end(JSON.stringify(message))
    const answered = await new Promise<IncomingMessage>((done, fail) =>
      asked.once('response', done).once('error', fail),
    )
    return text(answered)
  }
})
