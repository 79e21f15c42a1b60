import { describe, expect, test } from 'vitest'
import { startLoad } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const most = 40
const agents = { alpha: testToken(), beta: testToken() }

function permissions(beta: readonly string[]): Record<string, string> {
  const one = (name: keyof typeof agents, servers: readonly string[]) =>
    `  ${name}:\n    token_hash: "${agents[name].hash}"\n    servers: ${JSON.stringify(servers)}\n`
  return { 'manifests/permissions.yaml': `agents:\n${one('alpha', ['*'])}${one('beta', beta)}` }
}

interface Scene {
  readonly repository: Repository
  readonly gateway: Gateway
}

interface Operation {
  /** What must be so before, done by a controller that lives. */
  readonly before?: (scene: Scene, time: number) => Promise<void>
  /** What the mortal controller is to do. */
  readonly act: (scene: Scene, time: number) => Promise<void>
  /** Servers that run afterwards, with the words they say. */
  readonly after: (time: number) => Readonly<Record<string, string>>
}

const publish = async ({ repository, gateway }: Scene, files: Parameters<Repository['publish']>[0]) => {
  await repository.publish(files)
  await gateway.deliver().catch(() => undefined)
}

const operations: Readonly<Record<string, Operation>> = {
  create: {
    before: (scene) => publish(scene, { 'manifests/servers/fresh.yaml': null }),
    act: (scene, time) => publish(scene, smallServer('fresh', { word: `created ${time}` })),
    after: (time) => ({ still: 'still', server: 'first', fresh: `created ${time}` }),
  },
  replace: {
    act: (scene, time) => publish(scene, smallServer('server', { word: `word ${time}` })),
    after: (time) => ({ still: 'still', server: `word ${time}` }),
  },
  grants: {
    act: (scene, time) => publish(scene, permissions(time % 2 === 0 ? ['server'] : [])),
    after: () => ({ still: 'still', server: 'first' }),
  },
}

async function settled({ repository, gateway }: Scene): Promise<void> {
  const head = await repository.git('rev-parse', 'HEAD')
  expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
  await until(
    'nothing is under way',
    async () => {
      const { servers, proxies, revision } = await gateway.status()
      const isCalm = servers.every(({ phase, reason }) => phase === 'ready' && /^serves/.test(reason))
      return isCalm && proxies.every(({ have }) => have === revision)
    },
    minutes,
  )
}

const called = ({ endpoint }: Gateway, agent: keyof typeof agents, server: string) =>
  callSmall(`${endpoint}/mcp/${server}`, agents[agent].token, 'word')

describe('(1) killed after each boundary of a pass, the next start converges, and no call fails', () => {
  test.concurrent.for(Object.entries(operations))('%s', { timeout: 8 * minutes }, async ([name, operation]) => {
    await using repository = await createRepository()
    await repository.publish({
      ...permissions([]),
      ...smallServer('still', { word: 'still' }),
      ...smallServer('server', { word: 'first' }),
    })
    await using gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
    const scene = { repository, gateway }
    await settled(scene)
    const load = startLoad(async () => {
      await called(gateway, 'alpha', 'still')
      await called(gateway, 'alpha', 'server')
      await new Promise((done) => setTimeout(done, 20))
    }, 2)
    let deaths = 0
    for (let time = 1; time <= most; time++) {
      await operation.before?.(scene, time)
      await settled(scene)
      await gateway.kill()
      await gateway.startMortal(time)
      await operation.act(scene, time)
      const died = await outlives(scene, name)
      if (died) {
        deaths++
        await gateway.kill()
        await gateway.start()
      }
      await settled(scene)
      const expected = operation.after(time)
      for (const [server, word] of Object.entries(expected)) expect(await called(gateway, 'alpha', server)).toBe(word)
      const all = [...new Set([...Object.keys(expected), 'proxy', 'server'])].sort()
      await until('one of each runs', () => {
        const runs = unitsOf(gateway.state).map((unit) => unit.split(' ')[0])
        return runs.join() === all.join()
      })
      if (!died) break
    }
    const { calls, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(10)
    expect(deaths).toBeGreaterThan(2)
    expect(deaths).toBeLessThan(most)
  })
})

/** Whether the mortal controller dies before it is done. */
async function outlives({ repository, gateway }: Scene, name: string): Promise<boolean> {
  const head = await repository.git('rev-parse', 'HEAD')
  return until(
    `the mortal controller dies or is done: ${name}`,
    async () => {
      if (gateway.controller().signalCode !== null) return { died: true }
      const status = await gateway.status().catch(() => undefined)
      if (status?.attempted?.commit !== head || status.attempted.phase !== 'applied') return undefined
      const isDone = status.servers.every(({ reason }) => /^serves/.test(reason))
      return isDone && gateway.controller().signalCode === null ? { died: false } : undefined
    },
    2 * minutes,
  ).then(({ died }) => died)
}
