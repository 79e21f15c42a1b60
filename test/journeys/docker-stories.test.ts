import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { CommitStatus } from '#manifests/status.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import type { EngineContainer } from '../../controller/docker/engine.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { typed } from '../support/cli.ts'
import { post, removeInstance } from '../support/engine.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { startLoad } from '../support/load.ts'
import { suite } from '../support/machine.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, type SmallServer, smallDockerfile, smallProgram, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agents = { alpha: testToken(), beta: testToken(), gamma: testToken() }
type Agent = keyof typeof agents
const settings = (bake: string) => ({ 'manifests/gateway.yaml': `bake: ${bake}\nprune: { most: 100%, grace: 0s }\n` })

function permissions(all: Readonly<Partial<Record<Agent, readonly string[]>>>): Record<string, string> {
  const lines = Object.entries(all).map(
    ([name, servers]) =>
      `  ${name}: { token_hash: "${agents[name as Agent].hash}", servers: ${JSON.stringify(servers)} }\n`,
  )
  return { 'manifests/permissions.yaml': `agents:\n${lines.join('')}` }
}

const contained = (name: string, small: SmallServer) => smallServer(name, { dockerfile: smallDockerfile, ...small })

vi.setConfig({ testTimeout: 2 * minutes, hookTimeout: 10 * minutes })

suite('stories on the Docker engine', ['docker', 'product'], () => {
  const engine = openEngine()
  const limit = () => AbortSignal.timeout(minutes)
  let repository: Repository
  let gateway: Gateway
  let machine: string

  beforeAll(async () => {
    machine = await mkdtemp(join(tmpdir(), 'gateway-machine-'))
    await writeFile(join(machine, 'secrets.env'), 'KEY=value\n')
    repository = await createRepository()
    const head = await repository.publish({
      ...settings('0s'),
      ...permissions({ alpha: ['*'], beta: ['a'], gamma: ['a'] }),
      ...contained('a', { word: 'a' }),
      ...contained('b', { word: 'b' }),
      ...contained('spare', { word: 'spare' }),
      ...contained('needy', { word: 'needy', manifest: 'secrets: [KEY]' }),
    })
    gateway = await startGateway('docker', {
      GATEWAY_REPO: repository.bare,
      GATEWAY_SECRETS: join(machine, 'secrets.env'),
    })
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await engine.removeImage(`${gateway?.instance}-layers:kept`, limit())
    await repository?.[Symbol.asyncDispose]()
    await rm(machine, { recursive: true, force: true })
  })

  async function publish(files: Parameters<Repository['publish']>[0]): Promise<string> {
    const head = await repository.publish(files)
    expect(await gateway.deliver()).toBe(202)
    return head
  }

  const called = (agent: Agent, server: string) =>
    callSmall(`${gateway.endpoint}/mcp/${server}`, agents[agent].token, 'word')
  const server = async (name: string) => (await gateway.status()).servers.find((one) => one.name === name)

  /** The head of the branch, once it is applied and nothing is under way any more. */
  async function settled(): Promise<CommitStatus> {
    const head = await repository.git('rev-parse', 'HEAD')
    return until(
      'everything is as the commit says, and nothing is under way',
      async () => {
        const { attempted, servers } = await gateway.status()
        const isCalm = servers.every(({ reason }) => reason === 'serves what the commit asks for')
        return isCalm && attempted?.commit === head && attempted.phase === 'applied' && attempted
      },
      minutes,
    )
  }

  /** Containers that run, by server or role. */
  async function running(): Promise<Readonly<Record<string, EngineContainer>>> {
    const all = await engine.containers(labelsOf({ instance: gateway.instance }), limit())
    return Object.fromEntries(
      all
        .filter(({ State }) => State.Status === 'running')
        .map((one) => [mark(one.Config.Labels, 'server') ?? mark(one.Config.Labels, 'role') ?? '', one]),
    )
  }

  async function images(): Promise<readonly string[]> {
    const all = await engine.images(labelsOf({ instance: gateway.instance }), limit())
    return all.flatMap(({ RepoTags }) => RepoTags ?? []).sort()
  }

  const ids = async () => Object.fromEntries(Object.entries(await running()).map(([name, { Id }]) => [name, Id]))
  const namesOf = async () =>
    Object.fromEntries(Object.entries(await running()).map(([name, { Name }]) => [name, Name]))
  const idOf = async (name: string) => (await ids())[name] ?? ''
  const repaired = async () =>
    CommitStatus.array().parse(await (await fetch(`${gateway.face}/history?limit=1`)).json())[0]?.repaired ?? []

  test('(4) equal content by other commits builds nothing and restarts nothing; one server edited is one build', async () => {
    await settled()
    const before = { ids: await ids(), images: await images() }
    await repository.git('commit', '--quiet', '--amend', '--message', 'Said in other words')
    await repository.push({ force: true })
    await gateway.deliver()
    expect((await settled()).plan).toEqual(['0 to build, 0 to replace, 0 to remove'])
    expect({ ids: await ids(), images: await images() }).toEqual(before)
    await publish({ 'servers/a/main.mjs': `${smallProgram}\n// edited\n` })
    expect((await settled()).plan).toEqual([
      '+/- a   build input changed: servers/a/main.mjs',
      '1 to build, 1 to replace, 0 to remove',
    ])
    const { a, ...others } = await ids()
    expect(before.ids).toMatchObject(others)
    expect(a).not.toBe(before.ids.a)
    expect((await images()).filter((tag) => !before.images.includes(tag))).toEqual([
      expect.stringMatching(`^${gateway.instance}/a:`),
    ])
  })

  test('(6) a commit takes away within a second and gives once its own server is ready, however long it builds', async () => {
    expect(await called('beta', 'a')).toBe('a')
    await repository.publish({
      ...permissions({ alpha: ['*'], gamma: ['a', 'slow'] }),
      ...contained('slow', { word: 'slow', dockerfile: `${smallDockerfile}RUN sleep 8; echo ${gateway.instance}\n` }),
    })
    const began = Date.now()
    await gateway.deliver()
    await until('beta is nobody', () => called('beta', 'a').then(() => false, isRefused))
    expect(Date.now() - began).toBeLessThan(1_000)
    await until('it is built', async () => (await server('slow'))?.reason === 'building', 30_000)
    await expect(called('gamma', 'slow')).rejects.toThrow('HTTP 404')
    expect(await called('gamma', 'a')).toBe('a')
    await until('gamma may use it', () => called('gamma', 'slow').catch(() => false), minutes)
    expect(await server('slow')).toMatchObject({ serving: expect.stringMatching(/^slow@/) })
    expect(await settled()).toMatchObject({ grants: 'published' })
  })

  const isRefused = (error: unknown) => String(error).includes('HTTP 401')

  test('(3) a generation that ends while it bakes gives calls back within a second, and says why', async () => {
    const brief = `${smallProgram}\nsetTimeout(() => { console.log('it was not to be'); process.exit(3) }, 8_000)\n`
    const answers: { word: string; at: number }[] = []
    const load = startLoad(async () => {
      answers.push({ word: await called('alpha', 'b'), at: Date.now() })
      await new Promise((done) => setTimeout(done, 20))
    }, 2)
    // What one look at the engine costs: a machine that others use may take seconds for it.
    const looks: number[] = []
    const looking = startLoad(async () => {
      const began = Date.now()
      await running()
      looks.push(Date.now() - began)
      await new Promise((done) => setTimeout(done, 500))
    }, 1)
    const head = await publish({ ...settings('60s'), ...contained('b', { word: 'brief', program: brief }) })
    const became = await gateway.becomes(head)
    expect(became).toMatchObject({ phase: 'degraded', servers: { b: { phase: 'stalled' } } })
    expect(became.servers.b?.reason).toMatch(/^rolled back: it stopped/)
    await until('calls are answered as before', () => answers.at(-1)?.word === 'b')
    await Promise.all([load.stop(), looking.stop()])
    const last = answers.findLast(({ word }) => word === 'brief')
    const back = answers.find(({ word, at }) => word === 'b' && at >= (last?.at ?? 0))
    expect((back?.at ?? Number.NaN) - (last?.at ?? Number.NaN)).toBeLessThan(1_000 + 2 * Math.max(...looks))
    expect((await server('b'))?.log).toContain('it was not to be')
    await publish({ ...settings('0s'), ...contained('b', { word: 'b' }) })
    await settled()
  })

  test('(17) a server that is healthy by HTTP and lists no tools never serves', async () => {
    const deaf = smallProgram
      .replace("case 'tools/list':", "case 'tools/nothing':")
      .replace(
        "if (body === '')",
        "if (request.url === '/health') return response.writeHead(200).end()\n  if (body === '')",
      )
    const words = new Set<string>()
    const load = startLoad(async () => void words.add(await called('alpha', 'b')), 1)
    const manifest = 'health: /health\nstart: 6s'
    const became = await gateway.becomes(await publish(contained('b', { word: 'deaf', program: deaf, manifest })))
    expect(became).toMatchObject({ phase: 'degraded', servers: { b: { phase: 'stalled' } } })
    expect(became.servers.b?.reason).toMatch(/^not ready within 6 s: .*tools\/list/)
    expect((await load.stop()).failures).toEqual([])
    expect([...words]).toEqual(['b'])
    await publish(contained('b', { word: 'b' }))
    await settled()
  })

  /** What somebody does by hand, to which container, and how its cause is told. */
  const byHand: readonly (readonly [string, string, (id: string) => Promise<unknown>, RegExp])[] = [
    ['docker stop', 'a', (id) => engine.stopContainer(id, 1, limit()), /it stopped with exit code (143|137)/],
    ['docker kill', 'b', (id) => post(`/containers/${id}/kill`, {}), /it stopped with exit code 137/],
    [
      'docker rm -f',
      'spare',
      (id) => engine.removeContainer(id, 'even running', limit()),
      /it stopped with exit code 137|it is gone from the host/,
    ],
    [
      'docker update',
      'needy',
      (id) => engine.updateContainer(id, { Memory: 2 ** 26 }, limit()),
      /its memory limit was changed by hand: 64m instead of 512m/,
    ],
    [
      'docker network disconnect',
      'needy',
      (id) => engine.disconnect(`${gateway.instance}-needy`, id, limit()),
      /it was disconnected from network \S+-needy by hand/,
    ],
    ['docker kill', 'proxy', (id) => post(`/containers/${id}/kill`, {}), /no proxy runs/],
    ['docker stop', 'edge', (id) => engine.stopContainer(id, 1, limit()), /edge does not run/],
  ]

  test.each(byHand)(
    '(27) %s of %s is put right within ten seconds, and told with its cause',
    async (_, name, act, cause) => {
      const before = await repaired()
      const fresh = async () => (await repaired()).filter((line) => !before.includes(line))
      await act(await idOf(name))
      const began = Date.now()
      await until('it is told', async () => (await fresh()).length > 0)
      await until('it answers', () => called('alpha', ['proxy', 'edge'].includes(name) ? 'a' : name).catch(() => false))
      expect(Date.now() - began).toBeLessThan(10_000)
      const [line = ''] = await fresh()
      expect(line).toMatch(new RegExp(`^20\\S+Z ${name}: (${cause.source})$`))
      await expect
        .poll(gateway.output)
        .toMatch(new RegExp(`"what":"${name}","because":"(${cause.source})","msg":"put right"`))
      await settled()
      expect(await typed(gateway, 'history')).toContain(`  put right ${line}\n`)
    },
  )

  test('(27) what is killed for the fifth time in five minutes is a crash loop, reported and left, until told to try again', async () => {
    const isStalled = async () => (await server('b'))?.phase === 'stalled'
    while (!(await isStalled())) {
      const id = await idOf('b')
      if (id !== '') await post(`/containers/${id}/kill`, {})
      await until('it runs again, or is left', async () => (await idOf('b')) !== '' || (await isStalled()), minutes)
    }
    const told = await until('the commit is told degraded', async () => {
      const { attempted } = await gateway.status()
      return attempted?.phase === 'degraded' && attempted
    })
    expect(told).toMatchObject({
      servers: { b: { reason: 'crash loop: 5 times within 5m, last because it stopped with exit code 137' } },
    })
    await gateway.ask('POST', '/reconcile')
    expect(await idOf('b')).toBe('')
    expect(await typed(gateway, 'retry', 'b')).toBe('b is tried again\n')
    await until('it answers', () => called('alpha', 'b').catch(() => false))
    await settled()
  })

  test('(27) what is changed by hand again and again is left so after five times, serves on, and is told', async () => {
    const memory = async () => (await running()).needy?.HostConfig.Memory
    const isStalled = async () => (await server('needy'))?.phase === 'stalled'
    const wanted = await memory()
    while (!(await isStalled())) {
      await engine.updateContainer(await idOf('needy'), { Memory: 2 ** 26 }, limit())
      await until('it is put right, or left', async () => (await memory()) === wanted || (await isStalled()))
    }
    expect(await memory()).toBe(2 ** 26)
    expect(await called('alpha', 'needy')).toBe('needy')
    expect((await server('needy'))?.reason).toBe(
      'put right 5 times within 5m and left for now: its memory limit was changed by hand: 64m instead of 512m',
    )
    expect(await typed(gateway, 'retry', 'needy')).toBe('needy is tried again\n')
    await settled()
    expect(await memory()).toBe(wanted)
  })

  test('(26) an empty machine with repository and secrets comes up the same by one start', async () => {
    const before = await namesOf()
    await gateway.kill()
    // Its layers stay as they would in a registry, so that this takes no minutes; none of it is the instance's.
    const [product = ''] = (await images()).filter((tag) => tag.startsWith(`${gateway.instance}/gateway:`))
    await post(`/images/${product}/tag?repo=${gateway.instance}-layers&tag=kept`, {})
    await removeInstance(gateway.instance)
    await rm(gateway.state, { recursive: true })
    await mkdir(gateway.state)
    expect(await images()).toEqual([])
    await gateway.start()
    await settled()
    // What a secret is sealed by is the machine's own, and so the seal of what has one is another.
    const needy = expect.stringContaining(`${gateway.instance}-needy-`)
    const proxy = expect.stringContaining(`${gateway.instance}-proxy-`)
    expect(await namesOf()).toEqual({ ...before, needy, proxy })
    for (const name of ['a', 'b', 'needy']) expect(await called('alpha', name)).toBe(name)
    await publish({ 'README.md': 'nothing of it changes a server' })
    expect((await settled()).plan).toEqual(['0 to build, 0 to replace, 0 to remove'])
  })
})
