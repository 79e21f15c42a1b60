import { describe, expect, test } from 'vitest'
import type { Status } from '#manifests/status.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { createRepository } from '../support/repository.ts'
import { isAtRest, isSettled, type More, publish, type Scene, settled } from '../support/scene.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { tracesOf, unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const most = 40
const agents = { alpha: testToken(), beta: testToken() }

function permissions(beta: readonly string[]): Record<string, string> {
  const one = (name: keyof typeof agents, servers: readonly string[]) =>
    `  ${name}:\n    token_hash: "${agents[name].hash}"\n    servers: ${JSON.stringify(servers)}\n`
  return { 'manifests/permissions.yaml': `agents:\n${one('alpha', ['*'])}${one('beta', beta)}` }
}

interface Operation {
  /** What must be so before, done by a controller that lives. */
  readonly before?: (scene: Scene, time: number) => Promise<unknown>
  /** What the mortal controller is to do. */
  readonly act: (scene: Scene, time: number) => Promise<unknown>
  /** What people do again once it has died, who may have had no answer. */
  readonly again?: (scene: Scene) => Promise<void>
  /** Whether it is done, where the status says so only of what the commit asks for. */
  readonly isDone?: More
  /** Servers that run afterwards, with the words they say. */
  readonly after: (time: number) => Readonly<Record<string, string>>
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
  remove: {
    before: (scene, time) => publish(scene, smallServer('leaving', { word: `leaves ${time}` })),
    act: (scene) => publish(scene, { 'manifests/servers/leaving.yaml': null }),
    isDone: (_, { gateway }) => tracesOf(gateway.state, 'leaving').length === 0,
    after: () => ({ still: 'still', server: 'first' }),
  },
  rollback: {
    before: (scene, time) => publish(scene, smallServer('server', { word: `left ${time}` })),
    act: goBack,
    again: goBack,
    isDone: isPinned,
    after: () => ({ still: 'still', server: 'first' }),
  },
}

/** As operators do, who ask again until they have an answer. */
async function goBack({ repository, gateway }: Scene): Promise<void> {
  const to = await repository.git('rev-list', '--max-parents=0', 'HEAD')
  const ask = async () =>
    isDead(gateway) || isPinned(await gateway.status()) || gateway.ask('POST', `/rollback/server?to=${to}`)
  await until('it is rolled back, or nobody answers', () => ask().then(Boolean, () => false), minutes)
}

function isPinned({ servers }: Status): boolean {
  return servers.some(({ pinned }) => pinned === true)
}

function isDead(gateway: Gateway): boolean {
  return gateway.controller().signalCode !== null
}

const called = ({ endpoint }: Gateway, agent: keyof typeof agents, server: string) =>
  callSmall(`${endpoint}/mcp/${server}`, agents[agent].token, 'word')

describe('(1) killed after each boundary of a pass, the next start converges, and no call fails', () => {
  test.concurrent.for(Object.entries(operations))('%s', { timeout: 12 * minutes }, async ([, operation]) => {
    await using repository = await createRepository()
    await repository.publish({
      ...permissions([]),
      ...smallServer('still', { word: 'still' }),
      ...smallServer('server', { word: 'first' }),
    })
    await using gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
    const scene = { repository, gateway }
    await settled(scene)
    await gateway.kill()
    await gateway.startMortal()
    const load = startLoad(async () => {
      await called(gateway, 'alpha', 'still')
      await called(gateway, 'alpha', 'server')
      await new Promise((done) => setTimeout(done, 60))
    }, 2)
    let deaths = 0
    for (let time = 1; time <= most; time++) {
      await operation.before?.(scene, time)
      await settled(scene)
      await gateway.doom(time)
      await operation.act(scene, time)
      const died = await dies(scene, operation)
      if (died) {
        deaths++
        await gateway.kill()
        await gateway.startMortal()
        await operation.again?.(scene)
      }
      await settled(scene, operation.isDone)
      const expected = operation.after(time)
      for (const [server, word] of Object.entries(expected)) expect(await called(gateway, 'alpha', server)).toBe(word)
      const all = [...new Set([...Object.keys(expected), 'proxy', 'server'])].sort()
      await until('one of each runs', () => {
        const runs = unitsOf(gateway.state).map((unit) => unit.split(' ')[0])
        return runs.join() === all.join()
      })
      if (!died) break
      await isAtRest(scene)
    }
    const { calls, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(10)
    expect(deaths).toBeGreaterThan(2)
    expect(deaths).toBeLessThan(most)
  })
})

/** Whether the mortal controller dies before it is done; if it does not, it lives on. */
async function dies(scene: Scene, { isDone }: Operation): Promise<boolean> {
  const head = await scene.repository.git('rev-parse', 'HEAD')
  const look = async () => isDead(scene.gateway) || (await isSettled(scene, head, isDone).catch(() => false))
  await until('the mortal controller dies or is done', look, 2 * minutes)
  await scene.gateway.spare()
  return isDead(scene.gateway)
}
