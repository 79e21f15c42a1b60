import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import type { EngineContainer } from '../../controller/docker/engine.ts'
import { labelsOf, mark, updaterName } from '../../controller/docker/labels.ts'
import { checkoutFiles } from '../support/checkout.ts'
import { inspect } from '../support/engine.ts'
import { testToken } from '../support/gateway.ts'
import { suite } from '../support/machine.ts'
import type { Repository } from '../support/repository.ts'
import type { Stack } from '../support/stack.ts'
import { until } from '../support/until.ts'
import { type Composed, flawless, openComposed } from './composed.ts'

const minutes = 60_000
const agent = testToken()
const product = [
  'package.json',
  'package-lock.json',
  'Dockerfile',
  '.dockerignore',
  'manifests',
  'controller',
  'proxy',
  'stdio',
]

suite('a controller that commits may replace', ['docker', 'product'], () => {
  const engine = openEngine()
  let composed: Composed
  let instance: string
  let repository: Repository
  let stack: Stack

  beforeAll(async () => {
    const sources = await checkoutFiles(...product, 'docker-compose.yml')
    const carried = Object.entries(sources).map(([path, file]) => [`product/${path}`, file] as const)
    const files = {
      ...Object.fromEntries(carried),
      'manifests/permissions.yaml': `agents:\n  alpha: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
      'manifests/gateway.yaml': 'bake: 0s\nproxy: { build: product }\n',
    }
    composed = await openComposed(sources, files, ['GATEWAY_SELF_UPDATE=on'])
    ;({ instance, repository, stack } = composed)
    await stack.up()
  }, 10 * minutes)
  afterAll(() => composed?.[Symbol.asyncDispose](), 2 * minutes)

  const say = () => composed.say('plain', agent.token)
  const startCalls = () => composed.startCalls('plain', agent.token)
  const becomes = (commit: string) => composed.becomes(commit)
  /** That Compose knows an image as its own is the last that an updater sees to. */
  const isComposes = (image: string) =>
    until('the tag', async () => (await engine.image(stack.tag, AbortSignal.timeout(minutes)))?.Id === image)
  /** What runs, controllers and updaters not among it. */
  const units = async () => (await composed.units()).filter(({ role }) => ['edge', 'proxy', 'server'].includes(role))

  test('(16) is replaced by the one that the repository has, which Compose knows as its own', {
    timeout: 5 * minutes,
  }, async () => {
    const [before] = await stack.controllers()
    const built = stack.image
    const head = await repository.git('rev-parse', 'HEAD')
    expect(await becomes(head)).toMatchObject({ phase: 'applied', servers: {} })
    const after = await theController()
    expect(after.Id).not.toBe(before?.Id)
    expect(after.Image).not.toBe(built)
    expect(after.Config.Labels).toMatchObject(before?.Config.Labels ?? {})
    expect(after.Config.Env).toEqual(expect.arrayContaining([...(before?.Config.Env ?? [])]))
    expect(mark(after.Config.Labels, 'role')).toBe('controller')
    await isComposes(after.Image)
    expect((await units()).find(({ role }) => role === 'proxy')?.image).toBe(after.Image)
    expect(await say()).toBe('nothing')
  })

  test('(16) stays where the next version would restart a server, and says so', { timeout: 5 * minutes }, async () => {
    const before = { controller: await theController(), units: await units() }
    const file = 'product/controller/generation.ts'
    const source = await read(file)
    const other = source.replace('JSON.stringify([1, parts.image', 'JSON.stringify([2, parts.image')
    expect(other).not.toBe(source)
    const load = startCalls()
    const status = await becomes(await repository.publish({ [file]: other }))
    expect(status).toMatchObject({ phase: 'degraded', reason: 'gateway is not as the commit says' })
    expect(status.servers.gateway).toEqual({
      phase: 'stalled',
      reason: expect.stringMatching(
        /^self-update refused: the new version would change more than itself: \+\/- plain it differs from what runs/,
      ),
    })
    await flawless(load)
    expect((await theController()).Id).toBe(before.controller.Id)
    expect((await units()).filter(({ role }) => role !== 'proxy')).toEqual(
      before.units.filter(({ role }) => role !== 'proxy'),
    )
    await repository.publish({ [file]: source })
  })

  test('(16) comes back where the next version does not run, and says why', { timeout: 5 * minutes }, async () => {
    const before = await theController()
    const file = 'product/controller/main.ts'
    const source = await read(file)
    const load = startCalls()
    const broken = await repository.publish({ [file]: `throw new Error('a version that does not run')\n${source}` })
    const { servers } = await becomes(broken)
    expect(servers.gateway?.reason).toMatch(/^self-update refused: it does not run: /)
    await flawless(load)
    expect((await theController()).Id).toBe(before.Id)
    expect(await becomes(await repository.publish({ [file]: source }))).toMatchObject({ phase: 'applied' })
    expect((await theController()).Id).toBe(before.Id)
  })

  test('(16) is one in the end, also where its updater is killed half-way', { timeout: 5 * minutes }, async () => {
    const before = await theController()
    const load = startCalls()
    const file = 'product/controller/main.ts'
    const head = await repository.publish({ [file]: `${await read(file)}// another version\n` })
    await until('the old one has been told to end', () => isStopped(before.Id), 3 * minutes)
    await killUpdater()
    expect(await becomes(head)).toMatchObject({ phase: 'applied', servers: {} })
    await flawless(load)
    const after = await theController()
    expect(after.Id).not.toBe(before.Id)
    await isComposes(after.Image)
    await until('the updater is gone', async () => (await containers('updater')).length === 0)
  })

  async function theController(): Promise<EngineContainer> {
    await until('there is one controller', async () => (await stack.controllers()).length === 1, minutes)
    const [one] = await stack.controllers()
    return one ?? expect.unreachable()
  }

  async function isStopped(id: string): Promise<boolean> {
    return (await engine.container(id, AbortSignal.timeout(minutes)))?.State.Status !== 'running'
  }

  /** As a crash, which the engine takes for one: by its process, not by the engine's own verb. */
  async function killUpdater(): Promise<void> {
    const Shape = z.object({ State: z.object({ Pid: z.number() }) })
    const { State } = await inspect(`/containers/${updaterName(instance)}/json`, Shape)
    process.kill(State.Pid, 'SIGKILL')
  }

  function read(file: string): Promise<string> {
    return readFile(join(repository.work, file), 'utf8')
  }

  function containers(role: 'updater' | 'proxy'): Promise<readonly EngineContainer[]> {
    return engine.containers(labelsOf({ instance, role }), AbortSignal.timeout(minutes))
  }
})
