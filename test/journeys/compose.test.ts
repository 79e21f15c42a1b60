import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { proxyCommand } from '../../controller/proxy-program.ts'
import { checkoutFiles } from '../support/checkout.ts'
import { readComposition } from '../support/composition.ts'
import { post as askEngine, inspect } from '../support/engine.ts'
import { testToken } from '../support/gateway.ts'
import { suite } from '../support/machine.ts'
import { freePort } from '../support/port.ts'
import type { Repository } from '../support/repository.ts'
import type { Stack } from '../support/stack.ts'
import { type Composed, flawless, openComposed, type Unit } from './composed.ts'

const minutes = 60_000
const agents = { alpha: testToken(), beta: testToken() }
const patient = { timeout: 2 * minutes, interval: 200 }

suite('the gateway on a machine for good', ['docker', 'product'], () => {
  const engine = openEngine()
  let composed: Composed
  let instance: string
  let repository: Repository
  let stack: Stack

  beforeAll(async () => {
    composed = await openComposed(await checkoutFiles('.'), {
      'manifests/permissions.yaml': permissions('alpha'),
      'manifests/servers/sesame.yaml': 'description: says the word\nbuild: servers/say\nsecrets: [{ WORD: SESAME }]\n',
    })
    ;({ instance, repository, stack } = composed)
    await writeFile(join(composed.secrets, '.env'), 'SESAME=open\n')
  }, 2 * minutes)
  afterAll(() => composed?.[Symbol.asyncDispose](), 2 * minutes)

  const say = (server: string, ms = 0, { token } = agents.alpha) => composed.say(server, token, ms)
  const startCalls = (server: string) => composed.startCalls(server, agents.alpha.token)
  const units = () => composed.units()

  test('comes up: servers are built, and a call is answered', { timeout: 10 * minutes }, async () => {
    await stack.up()
    const head = await repository.git('rev-parse', 'HEAD')
    const became = await composed.becomes(head)
    expect(became.servers).toEqual({})
    expect(became).toMatchObject({ phase: 'applied', errors: [] })
    expect(await say('plain')).toBe('nothing')
    expect(await say('sesame')).toBe('open')
  })

  test('runs edge and proxy from the image that the controller came in', async () => {
    const ours = await units()
    expect(ours.map(({ role }) => role).sort()).toEqual(['edge', 'proxy', 'server', 'server'])
    for (const { role, image } of ours) if (role !== 'server') expect(image).toBe(stack.image)
  })

  test('has the code of proxies compiled for the way in which they are started', async () => {
    const asNode = ['setpriv', '--reuid', 'node', '--regid', 'node', '--clear-groups']
    const [, ...flags] = proxyCommand.slice(0, -1)
    const count = "fs.readdirSync(require('node:module').getCompileCacheDir()).length"
    const { output } = await stack.exec(...asNode, 'node', ...flags, '-p', count)
    expect(Number(output)).toBeGreaterThan(100)
  })

  test('lets no log grow without bound', async () => {
    const Shape = z.object({ HostConfig: z.object({ LogConfig: z.unknown() }) })
    const { services } = await readComposition(composed.checkout.work)
    const { driver, options } = services.controller.logging
    for (const { id } of await units())
      expect((await inspect(`/containers/${id}/json`, Shape)).HostConfig.LogConfig).toEqual({
        Type: driver,
        Config: options,
      })
  })

  test('answers its command line in the container', { timeout: 2 * minutes }, async () => {
    const head = await repository.git('rev-parse', '--short=12', 'HEAD')
    expect(await stack.exec('gateway', 'reconcile', '--wait')).toMatchObject({ code: 0 })
    const status = await stack.exec('gateway', 'status')
    expect(status).toMatchObject({ code: 0, output: expect.stringContaining(`commit ${head}  applied`) })
    expect(status.output).toMatch(/^plain +ready .*\nsesame +ready /m)
    expect((await stack.exec('gateway', 'history')).output).toMatch(new RegExp(`${head} +applied`))
    const unpack = `mkdir /tmp/commit && git -C /var/lib/gateway/mirror.git archive ${head} | tar -x -C /tmp/commit`
    const validate = `${unpack} && gateway validate /tmp/commit`
    expect(await stack.exec('sh', '-c', validate)).toEqual({ code: 0, output: 'valid: 2 servers, 1 agent\n' })
    expect((await stack.exec('sh', '-c', 'gateway token new beta 2>/dev/null')).output).toMatch(/^cgw_[\w-]{43}\n$/)
  })

  test('says that it is well by the command that the engine asks', async () => {
    const { services } = await readComposition(composed.checkout.work)
    const [, ...command] = services.controller.healthcheck.test
    expect(await stack.exec(...command)).toMatchObject({ code: 0 })
  })

  test('sees a secrets file that was replaced, and replaces just the server that uses it', {
    timeout: 2 * minutes,
  }, async () => {
    const before = await units()
    const load = startCalls('sesame')
    await writeFile(join(composed.secrets, '.env.new'), 'SESAME=close\n')
    await rename(join(composed.secrets, '.env.new'), join(composed.secrets, '.env'))
    await expect.poll(() => say('sesame'), patient).toBe('close')
    await hasEnded(before.filter(({ server }) => server === 'sesame'))
    await flawless(load)
    const after = await units()
    expect(difference(before, after)).toEqual(['sesame'])
  })

  test('serves on while the controller is down, and replaces nothing when it is up again', {
    timeout: 3 * minutes,
  }, async () => {
    const before = await units()
    const load = startCalls('plain')
    await stack.down()
    expect(await units()).toEqual(before)
    expect(await say('sesame')).toBe('close')
    await stack.up()
    await isUp()
    expect(await stack.exec('gateway', 'reconcile', '--wait')).toMatchObject({ code: 0 })
    await flawless(load)
    expect(await units()).toEqual(before)
    expect(await stack.logs()).not.toContain('planned')
  })

  test('brings the proxy to its own version, and no call notices', { timeout: 6 * minutes }, async () => {
    const before = await units()
    const file = join(composed.checkout.work, 'proxy/main.ts')
    await writeFile(file, `${await readFile(file, 'utf8')}// another version\n`)
    const load = startCalls('plain')
    const image = stack.image
    await stack.up()
    expect(stack.image).not.toBe(image)
    // Longer than it takes until the old proxy is told to leave, and ten seconds more.
    const long = say('plain', 30_000)
    await isUp()
    await expect.poll(async () => (await units()).filter(({ role }) => role === 'proxy').length, patient).toBe(2)
    expect(await long).toBe('nothing')
    await hasEnded(before.filter(({ role }) => role === 'proxy'))
    await flawless(load)
    const after = await units()
    expect(after.find(({ role }) => role === 'proxy')?.image).toBe(stack.image)
    expect(difference(before, after)).toEqual(['proxy'])
  })

  test('replaces the proxy of an edge that was restarted', { timeout: 3 * minutes }, async () => {
    const before = await units()
    const edge = before.find(({ role }) => role === 'edge')
    await askEngine(`/containers/${edge?.id}/restart?t=1`, {})
    await hasEnded(before.filter(({ role }) => role === 'proxy'))
    await expect.poll(() => say('sesame').catch(String), patient).toBe('close')
    expect(difference(before, await units())).toEqual(['proxy'])
  })

  test('brings back everything that the engine has given up', { timeout: 4 * minutes }, async () => {
    const before = await units()
    await stack.down()
    await Promise.all(before.map(({ id }) => askEngine(`/containers/${id}/kill`, {})))
    await expect.poll(units, patient).toEqual([])
    await stack.up()
    await isUp()
    expect(await stack.exec('gateway', 'reconcile', '--wait')).toMatchObject({ code: 0 })
    for (const [server, word] of [['plain', 'nothing'] as const, ['sesame', 'close'] as const])
      await expect.poll(() => say(server).catch(String), patient).toBe(word)
    expect(difference(before, await units())).toEqual(['proxy'])
  })

  test('is left alone by a controller of another state, which says both ways out', {
    timeout: 3 * minutes,
  }, async () => {
    const before = await units()
    const socket = () => stack.exec('stat', '-c', '%i', '/var/lib/gateway/run/table.sock')
    const itsSocket = await socket()
    const line = `GATEWAY_INSTANCE: "${instance}" on this engine belongs to the state ${instance}-state, not to ${instance}-other: choose another name, or run \`gateway adopt\` on this machine to take it over`
    {
      await using other = await composed.stackOf(`${instance}-2`, `${instance}-other`, await freePort())
      await other.up()
      await expect.poll(() => other.logs(), patient).toContain(line)
    }
    expect(await units()).toEqual(before)
    expect(await socket()).toEqual(itsSocket)
    await repository.publish({ 'manifests/permissions.yaml': permissions('alpha', 'beta') })
    await expect.poll(() => say('plain', 0, agents.beta).catch(String), patient).toBe('nothing')
  })

  test('is gone when it is taken down', { timeout: 2 * minutes }, async () => {
    expect(await stack.exec('gateway', 'down', '--volumes')).toEqual({
      code: 0,
      output: 'all that this gateway ran is gone\n',
    })
    const signal = AbortSignal.timeout(minutes)
    expect(await units()).toEqual([])
    const ours = labelsOf({ instance })
    expect(await engine.images(ours, signal)).toEqual([])
    expect(await engine.volumes(ours, signal)).toEqual([])
    expect((await engine.networks(signal)).filter(({ Labels }) => mark(Labels, 'instance') === instance)).toEqual([])
    expect(await stack.exec('gateway', 'status')).toMatchObject({ code: 0 })
  })

  function permissions(...names: readonly (keyof typeof agents)[]): string {
    const lines = names.map((name) => `  ${name}: { token_hash: "${agents[name].hash}", servers: ["*"] }\n`)
    return `agents:\n${lines.join('')}`
  }

  async function isUp(): Promise<void> {
    const health = () => fetch(`${composed.face}/readyz`).then(({ status }) => status, String)
    await expect.poll(health, patient).toBe(200)
  }

  /** Names of what came instead of something, or beside it. */
  function difference(before: readonly Unit[], after: readonly Unit[]): readonly string[] {
    expect(after).toHaveLength(before.length)
    return after.filter(({ id }) => !before.some((one) => one.id === id)).map(({ server, role }) => server ?? role)
  }

  async function hasEnded(some: readonly Unit[]): Promise<void> {
    expect(some).not.toHaveLength(0)
    const left = async () => (await units()).filter(({ id }) => some.some((one) => one.id === id))
    await expect.poll(left, patient).toEqual([])
  }
})
