import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommitStatus } from '#manifests/status.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { serveGit } from '../support/git-server.ts'
import { startLoad } from '../support/load.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallProgram, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'
import { rivals } from './rivals.ts'

const minutes = 60_000
const agent = testToken()
const permissions = {
  'manifests/permissions.yaml': `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`,
}
const names = Array.from({ length: 10 }, (_, index) => `s${index}`)

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms))

function call(gateway: Gateway, server: string, tool = 'word', args = {}): Promise<string> {
  return callSmall(`${gateway.endpoint}/mcp/${server}`, agent.token, tool, args)
}

describe('replacing on the process host', () => {
  let repository: Repository
  let gateway: Gateway

  beforeAll(async () => {
    repository = await createRepository()
    const all = Object.assign({}, ...names.map((name) => smallServer(name, { word: 'first' })))
    const head = await repository.publish({ ...all, ...permissions })
    gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
  }, 3 * minutes)
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
  }, 2 * minutes)

  async function publish(files: Parameters<Repository['publish']>[0]): Promise<string> {
    const head = await repository.publish(files)
    expect(await gateway.deliver()).toBe(202)
    return head
  }

  const reason = async (server: string) => (await gateway.status()).servers.find(({ name }) => name === server)?.reason

  test('(2) a hundred replacements under load cost no call', { timeout: 5 * minutes }, async () => {
    let next = 0
    const seen = new Set<string>()
    const load = startLoad(async () => {
      seen.add(await call(gateway, names[next++ % names.length] ?? ''))
      await pause(5)
    }, 6)
    for (let round = 0; round < 10; round++) {
      const head = await publish(
        Object.assign({}, ...names.map((name) => smallServer(name, { word: `round ${round}` }))),
      )
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    }
    const { calls, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(500)
    expect(seen.size).toBe(11)
    await until('one of each runs', () => unitsOf(gateway.state).length === names.length + 1, minutes)
  })

  test('(3) a generation that ends while it bakes gives calls back within a second, and says why', {
    timeout: 2 * minutes,
  }, async () => {
    const before = await call(gateway, 's0')
    const brief = `${smallProgram}\nsetTimeout(() => { console.log('it was not to be'); process.exit(3) }, 8_000)\n`
    const answers: { word: string; at: number }[] = []
    const load = startLoad(async () => {
      answers.push({ word: await call(gateway, 's0'), at: Date.now() })
      await pause(5)
    }, 2)
    const head = await publish({
      'manifests/gateway.yaml': 'bake: 60s\nprune: { most: 100%, grace: 0s }\n',
      ...smallServer('s0', { word: 'brief', program: brief }),
    })
    expect(await gateway.becomes(head)).toMatchObject({
      phase: 'degraded',
      servers: { s0: { phase: 'stalled', reason: 'rolled back: it stopped with exit code 3' } },
    })
    await until('calls are answered as before', async () => answers.at(-1)?.word === before)
    await load.stop()
    const last = answers.findLast(({ word }) => word === 'brief')
    const back = answers.find(({ word, at }) => word === before && at >= (last?.at ?? 0))
    expect((back?.at ?? Number.NaN) - (last?.at ?? Number.NaN)).toBeLessThan(1_000)
    const { servers } = await gateway.status()
    expect(servers.find(({ name }) => name === 's0')?.log).toContain('it was not to be')
    await publish({ 'manifests/gateway.yaml': 'bake: 0s\nprune: { most: 100%, grace: 0s }\n' })
  })

  test('(17) a server that is healthy and lists no tools is not cut over to', { timeout: minutes }, async () => {
    const before = await call(gateway, 's1')
    const deaf = smallProgram
      .replace("case 'tools/list':", "case 'tools/nothing':")
      .replace(
        "if (body === '')",
        "if (request.url === '/health') return response.writeHead(200).end('fine')\n  if (body === '')",
      )
    const manifest = 'health: /health\nstart: 6s'
    const head = await publish(smallServer('s1', { word: 'deaf', program: deaf, manifest }))
    const became = await gateway.becomes(head)
    expect(became).toMatchObject({ phase: 'degraded', servers: { s1: { phase: 'stalled' } } })
    expect(became.servers.s1?.reason).toMatch(/^not ready within 6 s: .*tools\/list/)
    expect(await call(gateway, 's1')).toBe(before)
    expect(await gateway.becomes(await publish(smallServer('s1', { word: 'well' })))).toMatchObject({
      phase: 'applied',
    })
  })

  test('(13) a fix ends the wait for what is stuck at once', { timeout: 2 * minutes }, async () => {
    const stuck = 'setInterval(() => {}, 1_000) // says nothing, listens nowhere\n'
    await publish(smallServer('s2', { word: 'stuck', program: stuck, manifest: 'start: 10m' }))
    await until('it waits', async () => (await reason('s2')) === 'waiting until it is ready')
    const head = await repository.publish(smallServer('s2', { word: 'fixed', manifest: 'start: 10m' }))
    const began = Date.now()
    await gateway.deliver()
    await until('the fix is under way', async () => (await gateway.status()).attempted?.commit === head, 5_000)
    const words = ['waiting for another build', 'building', 'starting', 'waiting until it is ready', 'queued']
    await until(
      'nothing waits for the stuck one',
      async () => {
        const { table } = await wanted()
        return table && words.includes((await reason('s2')) ?? 'ready')
      },
      1_000,
    )
    expect(Date.now() - began).toBeLessThan(4_000)
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied', servers: {} })
    expect(await call(gateway, 's2')).toBe('fixed')

    async function wanted() {
      const { servers } = await gateway.status()
      return { table: servers.find(({ name }) => name === 's2')?.wanted !== undefined }
    }
  })

  test('(18) a call in flight ends on the generation that took it', { timeout: minutes }, async () => {
    const before = await call(gateway, 's3')
    const slow = call(gateway, 's3', 'slow', { seconds: 9 })
    await pause(200)
    const after = smallServer('s3', { word: 'after' })
    const manifest = String(after['manifests/servers/s3.yaml']).replace('drain: 2s', 'drain: 30s')
    const head = await publish({ ...after, 'manifests/servers/s3.yaml': manifest })
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    expect(await call(gateway, 's3')).toBe('after')
    expect(await slow).toBe(before)
  })

  test('(4) the same content by other commits changes nothing', { timeout: minutes }, async () => {
    await until('all is quiet', async () => unitsOf(gateway.state).length === names.length + 1, minutes)
    const units = unitsOf(gateway.state)
    await repository.git('commit', '--quiet', '--amend', '--message', 'Said in other words')
    await repository.push({ force: true })
    await gateway.deliver()
    const head = await repository.git('rev-parse', 'HEAD')
    const became = await gateway.becomes(head)
    expect(became.plan).toEqual(['0 to build, 0 to replace, 0 to remove'])
    expect(unitsOf(gateway.state)).toEqual(units)
  })
})

test('(12) a burst of pushes costs a few passes, and who was skipped is told superseded', {
  timeout: 3 * minutes,
}, async () => {
  await using repository = await createRepository()
  await using git = await serveGit(repository.bare)
  const first = await repository.publish({ ...smallServer('s', { word: 'a' }), ...permissions })
  await using gateway = await startGateway('process', { GATEWAY_REPO: git.url, GATEWAY_POLL: '0 0 0 1 1 *' })
  await gateway.becomes(first)
  git.fault = { kind: 'slow', latency: 2_000 } // so that a pass takes about as long as ten pushes
  const commits: string[] = []
  for (let index = 0; index < 50; index++) {
    commits.push(await repository.publish({ 'README.md': `${index}` }))
    await gateway.deliver()
    await pause(100)
  }
  git.fault = { kind: 'none' }
  expect(await gateway.becomes(commits.at(-1) ?? '')).toMatchObject({ phase: 'applied' })
  const history = CommitStatus.array().parse(await (await fetch(`${gateway.face}/history?limit=100`)).json())
  const phases = Map.groupBy(commits, (sha) => history.find(({ commit }) => commit === sha)?.phase)
  expect(phases.get('superseded')?.length).toBeGreaterThan(40)
  expect([...phases.keys()].sort()).toEqual(['applied', 'superseded'])
})

test(
  '(28) two controllers and twenty deliveries never run two of a server that has a volume of its own',
  {
    timeout: 3 * minutes,
  },
  () => rivals('process', async ({ state }) => unitsOf(state).filter((unit) => unit.startsWith('notes ')).length),
)
