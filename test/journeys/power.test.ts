import { afterAll, beforeAll, expect, test } from 'vitest'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { startGateway, testToken } from '../support/gateway.ts'
import { baseImage, suite } from '../support/machine.ts'
import { type OwnEngine, openOwnEngine } from '../support/own-engine.ts'
import { buildProduct } from '../support/product.ts'
import { createRepository } from '../support/repository.ts'
import { isAtRest, type Scene, settled } from '../support/scene.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agent = testToken()
const instance = testInstance()
const signal = AbortSignal.timeout(10 * minutes)
const dockerfile = `FROM ${baseImage}\nCOPY main.mjs .\n`

suite('a machine that loses power', ['docker', 'product', 'own-engine'], () => {
  let stack: AsyncDisposableStack
  let machine: OwnEngine
  let scene: Scene

  beforeAll(async () => {
    stack = new AsyncDisposableStack()
    machine = stack.use(await openOwnEngine())
    stack.defer(() => removeInstance(instance))
    await machine.load([baseImage, await buildProduct(instance)])
    const repository = stack.use(await createRepository())
    await repository.publish({
      'manifests/permissions.yaml': `agents:\n  alpha: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
      ...smallServer('words', { word: 'as before' }),
      'servers/words/Dockerfile': dockerfile,
      ...smallServer('notes', { word: 'notes', manifest: 'volumes: ["notes:/data"]', env: { NOTES: '/data' } }),
      'servers/notes/Dockerfile': dockerfile,
    })
    const env = { GATEWAY_REPO: repository.bare, GATEWAY_INSTANCE: instance, DOCKER_HOST: machine.url }
    scene = { repository, gateway: stack.use(await startGateway('docker', env)) }
    await settled(scene, undefined, 2 * minutes)
    await call('notes', 'note', { text: 'written before' })
  }, 6 * minutes)
  afterAll(() => stack?.disposeAsync(), 2 * minutes)

  test('comes back with all that it had, by the controller that starts with it', { timeout: 3 * minutes }, async () => {
    await scene.gateway.kill()
    await machine.cut()
    await machine.start()
    await scene.gateway.start()
    await isBack()
  })

  test('comes back, too, where the controller went on without its engine', { timeout: 3 * minutes }, async () => {
    await machine.cut()
    await until('the controller says so', async () => !(await scene.gateway.status()).host.ok, minutes)
    await machine.start()
    await isBack()
  })

  async function isBack(): Promise<void> {
    await until('agents are served', async () => (await call('words').catch(String)) === 'as before', minutes)
    await settled(scene, ({ host }) => host.ok)
    expect(await call('notes', 'notes')).toBe('written before\n')
    const all = await openEngine(machine.socket).containers(labelsOf({ instance }), signal)
    const states = all.map(({ Config: { Labels }, State }) => {
      return `${mark(Labels, 'server') ?? mark(Labels, 'role')} ${State.Status}`
    })
    expect(states.sort()).toEqual(['edge running', 'notes running', 'proxy running', 'words running'])
    await isAtRest(scene)
  }

  function call(server: string, tool = 'word', args = {}): Promise<string> {
    return callSmall(`${scene.gateway.endpoint}/mcp/${server}`, agent.token, tool, args, machine.post)
  }
})
