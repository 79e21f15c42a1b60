import { execFile } from 'node:child_process'
import { rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type Guarded, guardWords, openGuarded } from '../support/guarded.ts'
import { leaksIn, randomToken } from '../support/leaks.ts'
import { connectCurl, connectV1, type McpClient } from '../support/mcp-clients.ts'
import { post } from '../support/proxy.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { smallServer } from '../support/small-server.ts'
import { placesOfState } from '../support/state-search.ts'
import { until } from '../support/until.ts'

const cli = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))
const agent = testToken()
const as = { authorization: `Bearer ${agent.token}` }
const minute = 60_000

describe('a server that runs elsewhere and wants a credential', () => {
  let guarded: Guarded
  let repository: Repository
  let gateway: Gateway
  let commit: string
  const secrets: Record<string, string> = {}

  /** Replaces the secrets file as an editor does. */
  async function give(name: string, secret = randomToken()): Promise<string> {
    secrets[name] = secret
    const file = join(gateway.state, 'secrets.env')
    await writeFile(`${file}.new`, `WIKI_TOKEN=${secret}\n`)
    await rename(`${file}.new`, file)
    return `Bearer ${secret}`
  }

  const wiki = async () => (await gateway.status()).servers.find(({ name }) => name === 'wiki')
  const becomes = (phase: string) => until(`wiki is ${phase}`, async () => (await wiki())?.phase === phase, minute)

  beforeAll(async () => {
    guarded = await openGuarded('v1-sessions')
    repository = await createRepository()
    commit = await repository.commit({
      'manifests/permissions.yaml': `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`,
      'manifests/servers/wiki.yaml': `url: ${guarded.origin}/mcp\nauth: { secret: WIKI_TOKEN }\n`,
      ...smallServer('chess', { word: 'chess' }),
    })
    await repository.push()
    gateway = await startGateway('process', { GATEWAY_REPO: repository.bare, LOG_LEVEL: 'trace' })
  }, 2 * minute)

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
    await guarded?.[Symbol.asyncDispose]()
  }, minute)

  test('waits for it alone, with the name of what is missing', { timeout: 2 * minute }, async () => {
    const { phase, servers } = await gateway.becomes(commit)
    expect([phase, servers]).toEqual([
      'degraded',
      {
        wiki: {
          phase: 'waiting',
          reason: `WIKI_TOKEN is not in the secrets file ${gateway.state}/secrets.env (GATEWAY_SECRETS)`,
        },
      },
    ])
    const client = await connectCurl(`${gateway.endpoint}/mcp`, as)
    expect((await client.callTool('chess__word')).text).toBe('chess')
    expect(guarded.seen).toEqual([])
  })

  test('is asked with it, by agents and by probes', { timeout: 2 * minute }, async () => {
    guarded.takes.add(await give('first'))
    await becomes('ready')
    await until('its tools are known', async () => (await wiki())?.tools?.includes('echo'))
    for (const connect of [connectV1, connectCurl]) {
      const client = await connect(`${gateway.endpoint}/mcp`, as)
      expect((await client.callTool('wiki__echo', { text: 'hi' })).text).toBe('hi')
      await client.close()
    }
    expect(guarded.refused).toEqual([])
    const headers = guarded.seen.map((one) => JSON.stringify(one.headers)).join('\n')
    expect(leaksIn('', headers, { agent: agent.token })).toEqual([])
  })

  test('loses no call and no session when it changes under load', { timeout: 2 * minute }, async () => {
    const clients = await Promise.all([
      ...['wiki__echo', 'wiki__echo'].map(async (tool) => loadOf(await connectV1(`${gateway.endpoint}/mcp`, as), tool)),
      loadOf(await connectV1(`${gateway.endpoint}/mcp/wiki`, as), 'echo'),
      loadOf(await connectCurl(`${gateway.endpoint}/mcp`, as), 'wiki__echo'),
    ])
    await until('all are under way', () => clients.every(({ calls }) => calls() > 5))
    const before = guarded.inner.sessions
    for (const name of ['second', 'third']) {
      const old = [...guarded.takes]
      const next = await give(name, secrets[name])
      guarded.takes.add(next)
      const from = guarded.seen.length
      const isNew = () => guarded.seen.slice(from).filter(({ headers }) => headers.authorization === next).length > 20
      await until('the new one is sent', isNew, minute)
      for (const value of old) guarded.takes.delete(value)
      const counts = clients.map(({ calls }) => calls())
      await until('all go on', () => clients.every(({ calls }, index) => calls() > (counts[index] ?? 0) + 5))
    }
    expect((await Promise.all(clients.map(({ stop }) => stop()))).flat()).toEqual([])
    expect(guarded.refused).toEqual([])
    expect(Math.abs(guarded.inner.sessions - before)).toBeLessThan(5)
    expect(await wiki()).toMatchObject({ phase: 'ready' })
  })

  test('is named to operators and to agents when it refuses what it is sent', { timeout: 2 * minute }, async () => {
    await give('wrong')
    await becomes('waiting')
    expect(await wiki()).toMatchObject({
      reason: expect.stringMatching(
        /^refuses the secret WIKI_TOKEN that it is sent \(.* HTTP 401\): put one that it takes into the secrets file$/,
      ),
    })
    const call = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'wiki__echo', arguments: { text: 'hi' } },
    }
    const { status, headers, json } = await post(`${gateway.endpoint}/mcp`, call, as)
    const message =
      'wiki refuses the credential that the gateway sends it (HTTP 401); whoever runs the gateway can put that right'
    expect([status, json.error]).toEqual([200, { code: -32603, message }])
    expect(headers.get('www-authenticate')).toBeNull()
    guarded.takes.add(await give('right'))
    await becomes('ready')
  })

  test('leaves its credential nowhere but in the table of the proxies, for their owner alone', {
    timeout: 2 * minute,
  }, async () => {
    const environment = {
      PATH: process.env.PATH,
      GATEWAY_STATE: gateway.state,
      GATEWAY_REPO: repository.bare,
      GATEWAY_RUNTIME: 'process',
    }
    const verbs = [['explain', 'wiki'], ['explain', 'alpha', 'wiki__echo'], ['status', '--json'], ['plan'], ['history']]
    const printed = await Promise.all(
      verbs.map(async (verb) => {
        const run = promisify(execFile)(process.execPath, [cli, ...verb], { cwd: repository.work, env: environment })
        const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error)
        return { where: verb.join(' '), content: stdout + stderr }
      }),
    )
    expect(printed[0]?.content).toContain(`sends the secret WIKI_TOKEN to ${guarded.origin}`)
    const paths = [
      '/',
      '/status',
      '/status/wiki',
      `/commits/${commit}`,
      '/history',
      '/metrics',
      '/explain/wiki',
      '/logs/wiki',
    ]
    const faces = await Promise.all(
      paths.map(async (path) => ({ where: path, content: await (await fetch(gateway.face + path)).text() })),
    )
    const state = (await placesOfState(gateway.state)).filter(({ where }) => where !== 'secrets.env')
    const log = { where: 'log', content: gateway.output() }
    const isOurs = ({ where }: { where: string }) => where === 'proxy/table.json'
    const places = [...printed, ...faces, ...state.filter((place) => !isOurs(place)), log]
    expect(places.flatMap(({ where, content }) => leaksIn(where, content, secrets))).toEqual([])
    expect(places.filter(({ content }) => String(content).includes(guardWords)).map(({ where }) => where)).toEqual([])
    expect(leaksIn('', state.find(isOurs)?.content ?? '', { right: secrets.right ?? '' })).not.toEqual([])
    for (const file of ['proxy/table.json', 'journal.db', 'table.key'])
      expect([file, (await stat(join(gateway.state, file))).mode & 0o777]).toEqual([file, 0o600])
  })
})

interface Load {
  readonly calls: () => number
  /** Why calls failed. */
  stop(): Promise<readonly string[]>
}

function loadOf(client: McpClient, tool: string): Load {
  let calls = 0
  let stopped = false
  const failures: string[] = []
  const run = async () => {
    while (!stopped) {
      const { text } = await client.callTool(tool, { text: 'hi' }).catch((error: unknown) => ({ text: String(error) }))
      if (text !== 'hi') failures.push(text)
      calls++
    }
    await client.close()
  }
  const running = run()
  return {
    calls: () => calls,
    stop: async () => {
      stopped = true
      await running
      return failures
    },
  }
}
