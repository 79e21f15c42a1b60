import { execFile } from 'node:child_process'
import { rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import { floor } from '../../controller/room.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { baseImage, suite } from '../support/machine.ts'
import { type OwnEngine, openOwnEngine } from '../support/own-engine.ts'
import { buildProduct } from '../support/product.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallDockerfile, smallProgram, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const megabyte = 2 ** 20
vi.setConfig({ testTimeout: 3 * minutes, hookTimeout: 10 * minutes })

const agent = testToken()
/** Of each build, beside the base image. */
const weight = 200
const dockerfile = `${smallDockerfile}RUN fallocate -l ${weight}M /weight\n`
const file = (version: number) => `${smallProgram}\n// version ${version}\n`
const words = (version: number) =>
  smallServer('words', { word: `version ${version}`, dockerfile, program: file(version) })

suite('an engine on a small disk', ['docker', 'product', 'own-engine'], () => {
  const instance = testInstance()
  const limit = () => AbortSignal.timeout(minutes)
  let own: OwnEngine
  let repository: Repository
  let gateway: Gateway

  beforeAll(async () => {
    own = await openOwnEngine(5 * 2 ** 30)
    await own.load([baseImage, await buildProduct(instance)])
    await removeInstance(instance)
    repository = await createRepository()
    await repository.commit({
      'manifests/permissions.yaml': `agents:\n  alpha: { token_hash: "${agent.hash}", servers: ["*"] }\n`,
      ...words(1),
    })
    await repository.push()
    gateway = await startGateway('docker', {
      GATEWAY_REPO: repository.bare,
      GATEWAY_INSTANCE: instance,
      DOCKER_HOST: own.url,
    })
    await own.expose(Number(new URL(gateway.endpoint).port))
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await repository?.[Symbol.asyncDispose]()
    await own?.[Symbol.asyncDispose]()
    await removeInstance(instance)
  })

  const called = () => callSmall(`${gateway.endpoint}/mcp/words`, agent.token, 'word')
  const images = async (labels = {}) =>
    (await openEngine(own.socket).images(labels, limit())).flatMap(({ RepoTags }) => RepoTags ?? []).sort()
  const builds = async () =>
    (await images(labelsOf({ instance }))).filter((tag) => tag.startsWith(`${instance}/words:`))
  const ballast = () => join(own.folder, 'ballast')

  /** Leaves so many bytes free on its disk. */
  async function leave(bytes: number): Promise<void> {
    await rm(ballast(), { force: true })
    const { bavail, bsize } = await statfs(own.folder)
    await promisify(execFile)('fallocate', ['--length', String(bavail * bsize - bytes), ballast()])
  }

  async function applied(version: number): Promise<void> {
    const head = await repository.publish(words(version))
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    await until('it answers', async () => (await called()) === `version ${version}`)
  }

  /** A foreign image is one that carries none of our labels, or a name of somebody's own. */
  const foreign = async () => (await images()).filter((tag) => !tag.startsWith(`${instance}/`))

  test('(22) makes room of its own old builds first, and touches nothing else', async () => {
    expect(await gateway.becomes(await repository.git('rev-parse', 'HEAD'))).toMatchObject({ phase: 'applied' })
    await applied(2)
    await applied(3)
    const [before, others] = [await builds(), await foreign()]
    expect([before.length, others]).toEqual([3, [baseImage]])
    await own.prune() // else the layers of what is removed stay in the engine's build cache
    await leave(floor - (weight / 2) * megabyte)
    await applied(4)
    const after = await builds()
    expect(before.filter((tag) => !after.includes(tag))).toHaveLength(1)
    expect(gateway.output()).not.toContain('disk pressure')
    expect(await foreign()).toEqual(others)
  })

  test('(22) refuses a build where that is not enough, serves on meanwhile, and builds once there is room', async () => {
    const others = await foreign()
    await leave(floor / 2)
    const load = startLoad(async () => {
      expect(await called()).toBe('version 4')
      await new Promise((done) => setTimeout(done, 20))
    }, 1)
    const head = await repository.publish(words(5))
    const pressure = async () =>
      (await gateway.status()).servers.find(({ reason }) => /^tried again: disk pressure/.test(reason))
    expect(await until('it is refused', pressure)).toMatchObject({
      name: 'words',
      phase: 'deploying',
      reason: expect.stringMatching(/pressure: 1(\.\d)? GB free, 2 GB needed for a build; .* build cache takes \d+ MB/),
    })
    await until('it was tried again', () => gateway.output().split('disk pressure').length > 2, minutes)
    expect(await gateway.ask('GET', `/commits/${head}`)).toMatchObject({ phase: 'applying' })
    const { calls, failures } = await load.stop()
    expect([calls > 10, failures]).toEqual([true, []])
    expect(await foreign()).toEqual(others)
    await rm(ballast())
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    await until('it answers', async () => (await called()) === 'version 5')
  })
})
