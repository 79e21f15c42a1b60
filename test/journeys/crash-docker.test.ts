import { mkdir, rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { pairs } from '../../controller/docker/container.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import type { EngineContainer } from '../../controller/docker/engine.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { inspect, post } from '../support/engine.ts'
import { type FaultProxy, openFaultProxy } from '../support/engine-proxy.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type Load, startLoad } from '../support/load.ts'
import { baseImage, suite } from '../support/machine.ts'
import { createRepository } from '../support/repository.ts'
import { isAtRest, publish, type Scene, settled } from '../support/scene.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'
import { rivals } from './rivals.ts'

const minutes = 60_000
const agent = testToken()
const engine = openEngine()
const signal = AbortSignal.timeout(10 * minutes)
const permissions = {
  'manifests/permissions.yaml': `agents:\n  alpha: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
}

/** What an engine does for a replacement, each after the one before. */
const moments = {
  'the image is built': 'POST /build',
  'the container is created': 'POST /containers/create',
  'its networks are connected': 'POST /networks/*/connect',
  'it is started': 'POST /containers/*/start',
  'calls go to it': 'a call',
  'the one before is stopped': 'POST /containers/*/stop',
} as const

suite('a controller on the Docker engine', ['docker', 'product'], () => {
  let stack: AsyncDisposableStack
  let socket: FaultProxy
  let scene: Scene
  let word = 'first'

  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    socket = stack.use(await openFaultProxy())
    const repository = stack.use(await createRepository())
    await repository.publish({ ...permissions, ...serverThatSays(word) })
    const env = { GATEWAY_REPO: repository.bare, DOCKER_HOST: `unix://${socket.socket}` }
    scene = { repository, gateway: stack.use(await startGateway('docker', env)) }
    await settled(scene, undefined, 5 * minutes)
  }, 6 * minutes)
  afterAll(() => stack?.disposeAsync(), 2 * minutes)

  const call = () => callSmall(`${scene.gateway.endpoint}/mcp/server`, agent.token, 'word')

  test.for(Object.entries(moments))(
    '(1) that is killed once %s goes on at its next start, and no call fails',
    {
      timeout: 2 * minutes,
    },
    async ([moment, act]) => {
      const before = word
      word = `${moment}, and on`
      const victim = scene.gateway.controller()
      const strike = (seen: string) => {
        if (seen === act) victim.kill('SIGKILL')
      }
      socket.done = strike
      await using load = keepCalling((said) => said !== before && strike('a call'))
      await publish(scene, serverThatSays(word))
      await until('it is killed', () => victim.signalCode !== null, minutes)
      socket.done = () => {}
      await scene.gateway.start()
      await settled(scene)
      expect(await call()).toBe(word)
      const { calls, failures } = await load.stop()
      expect(failures).toEqual([])
      expect(calls).toBeGreaterThan(10)
      await until('one of each runs, and one is kept', async () => {
        const all = await containers()
        const states = all.map(({ Config, State }) => `${nameOf(Config)} ${State.Status}`)
        return states.sort().join() === 'edge running,proxy running,server exited,server running'
      })
      await isAtRest(scene)
    },
  )

  test.each([
    { how: 'kill', cause: 'edge does not run' },
    { how: 'restart', cause: 'edge restarted' },
  ])(
    'brings edge and proxy back after somebody’s $how of the edge',
    { timeout: 2 * minutes },
    async ({ how, cause }) => {
      const edge = (await containers()).find(({ Config }) => nameOf(Config) === 'edge')
      const before = scene.gateway.output().length
      await post(`/containers/${edge?.Id}/${how}`, {})
      await until('the plan says so', () => scene.gateway.output().slice(before).includes(cause), minutes)
      await until('agents are served', async () => (await call().catch(String)) === word, minutes)
      await expect.poll(() => scene.gateway.output().slice(before)).toContain('-/+ proxy   edge restarted')
      await settled(scene)
      await isAtRest(scene)
    },
  )

  test('whose state folder is deleted under load goes on above the proxies, and a revocation after it bites', {
    timeout: 3 * minutes,
  }, async () => {
    const { gateway } = scene
    const { revision } = await gateway.status()
    await using load = keepCalling(() => {})
    await gateway.kill()
    await rm(gateway.state, { recursive: true })
    await mkdir(gateway.state)
    await gateway.start()
    await settled(scene, (status) => status.revision > revision && status.proxies.length > 0)
    const { calls, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(10)
    await isAtRest(scene)
    await gateway.becomes(await publish(scene, { 'manifests/permissions.yaml': 'agents: {}\n' }))
    await expect(call()).rejects.toThrow('HTTP 401')
  })

  function containers(): Promise<readonly EngineContainer[]> {
    return engine.containers(labelsOf({ instance: scene.gateway.instance }), signal)
  }

  function keepCalling(hear: (said: string) => void): Load & AsyncDisposable {
    const load = startLoad(async () => {
      hear(await call())
      await new Promise((done) => setTimeout(done, 20))
    }, 2)
    return { ...load, [Symbol.asyncDispose]: async () => void (await load.stop()) }
  }
})

suite('two controllers on the Docker engine', ['docker', 'product'], () => {
  test('(28) and twenty deliveries never run two of a server that has a volume of its own', {
    timeout: 5 * minutes,
  }, async () => {
    const dockerfile = `FROM ${baseImage}\nCOPY main.mjs .\n`
    await rivals('docker', countNotes, { 'servers/notes/Dockerfile': dockerfile })
  })

  async function countNotes({ instance }: Gateway): Promise<number> {
    const label = pairs(labelsOf({ instance, role: 'server', server: 'notes' }))
    const filters = encodeURIComponent(JSON.stringify({ label, status: ['running'] }))
    return (await inspect(`/containers/json?filters=${filters}`, z.array(z.unknown()))).length
  }
})

function serverThatSays(word: string) {
  const files = smallServer('server', { word })
  // What is said is in the folder, too, so that each word takes a build.
  return { ...files, 'servers/server/Dockerfile': `FROM ${baseImage}\nCOPY main.mjs .\nLABEL word="${word}"\n` }
}

function nameOf({ Labels }: EngineContainer['Config']): string {
  return mark(Labels, 'server') ?? mark(Labels, 'role') ?? 'nobody'
}
