import { afterEach, describe, expect, test } from 'vitest'
import { compile } from '../../controller/compile/compile.ts'
import { describeFault } from '../../controller/desired.ts'
import { BuildFailed } from '../../controller/host.ts'
import { planFolder } from '../../controller/plan-folder.ts'
import { openFolder } from '../../controller/source/folder.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { createRepository, type Repository } from '../support/repository.ts'

const gatewayYaml = 'manifests/gateway.yaml'
const agents = { 'manifests/permissions.yaml': permissions({ ann: ['wiki'] }) }
const files = { ...agents, 'manifests/servers/wiki.yaml': imageServer('1') }
const product = { 'product/Dockerfile': 'FROM scratch\n', 'product/proxy/main.ts': '// one\n' }
const bake = 'bake: 0s\n'
const digest = `sha256:${'d'.repeat(64)}`

describe('the gateway, run from what the commit says', () => {
  let core: Core
  afterEach(() => core[Symbol.asyncDispose]())

  const specs = () => core.host.proxies.map(({ spec }) => spec)

  test('has its proxy replaced when its sources change, and the commit is applied after that', async () => {
    core = await openCore()
    await core.becomes(await core.publish({ ...files, ...product, [gatewayYaml]: bake }), 'applied')
    expect(specs()).toEqual(['p1'])
    const ready = Promise.withResolvers<void>()
    core.host.fault = (verb) => (verb === 'startProxy' ? ready.promise : undefined)
    const built = await core.publish({ [gatewayYaml]: `${bake}proxy: { build: product }\n` })
    const said = 'deploying gateway'
    await expect.poll(async () => (await core.steward().commit(built, 0, never))?.reason).toBe(said)
    ready.resolve()
    const status = await core.becomes(built, 'applied')
    expect(status.plan).toEqual(['+/- proxy   the gateway has a new version', '0 to build, 0 to replace, 0 to remove'])
    const [first] = specs()
    expect(specs()).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    await core.becomes(await core.publish({ 'product/proxy/main.ts': '// two\n' }), 'applied')
    expect(specs()).toHaveLength(1)
    expect(specs()).not.toEqual([first])
    await core.becomes(await core.publish({ [gatewayYaml]: bake }), 'applied')
    expect(specs()).toEqual(['p1'])
  })

  test('keeps the proxy that serves where its image cannot be built, says why, and tries it by the next commit', async () => {
    core = await openCore()
    await core.becomes(await core.publish({ ...files, ...product, [gatewayYaml]: bake }), 'applied')
    core.host.fault = (verb) => {
      if (verb === 'prepare') throw new BuildFailed('build of gateway failed: no such stage', 'last words')
    }
    const head = await core.publish({ [gatewayYaml]: `${bake}proxy: { build: product }\n` })
    const reason = 'the proxy stays as it is: build of gateway failed: no such stage'
    expect(await core.becomes(head)).toMatchObject({
      phase: 'degraded',
      reason: 'gateway is not as the commit says',
      servers: { gateway: { phase: 'stalled', reason } },
    })
    await core.rests()
    expect(specs()).toEqual(['p1'])
    core.host.fault = () => {}
    expect(await core.becomes(await core.publish({ 'README.md': 'again' }))).toMatchObject({ phase: 'applied' })
    expect(specs()).not.toEqual(['p1'])
  })

  test('takes back a proxy that does not run, and says what its last words were', async () => {
    core = await openCore()
    await core.becomes(await core.publish({ ...files, [gatewayYaml]: bake }), 'applied')
    core.host.fault = (verb) => {
      const fresh = core.host.proxies.filter(({ spec }) => spec !== 'p1')
      if (verb !== 'observe' || fresh.length === 0) return
      const ended = fresh.map((one) => ({ ...one, state: 'exited' as const }))
      core.host.proxies = [...core.host.proxies.filter(({ spec }) => spec === 'p1'), ...ended]
    }
    const head = await core.publish({ [gatewayYaml]: `${bake}proxy: { image: registry.example/gateway@${digest} }\n` })
    const { servers } = await core.becomes(head, 'degraded')
    expect(servers.gateway?.reason).toMatch(/^the proxy stays as it is: the new proxy stopped: last words of /)
    await core.rests()
    expect(specs()).toEqual(['p1'])
  })
})

describe('where a commit says what the gateway runs from', () => {
  let repository: Repository
  afterEach(() => repository[Symbol.asyncDispose]())

  test.each([
    ['proxy: { build: product }', []],
    [`proxy: { image: registry.example/gateway@${digest} }`, []],
    ['proxy: { build: { paths: [product], dockerfile_inline: "FROM $BASE" } }', []],
    ['proxy: {}', ['1:1 proxy: says nothing: exactly one of build and image']],
    [
      `proxy: { build: product, image: registry.example/gateway@${digest} }`,
      ['1:26 proxy.image: "build" is there already: exactly one of build and image'],
    ],
    [
      'proxy: { build: produkt }',
      ['1:17 proxy.build: no folder "produkt" in this commit to build from (did you mean "product"?)'],
    ],
    [
      'proxy: { build: { context: product, dockerfile: Dokerfile } }',
      ['1:49 proxy.build.dockerfile: no "Dokerfile" in "product" in this commit (did you mean "Dockerfile"?)'],
    ],
    ['proxy: { image: registry.example/gateway:latest }', [expect.stringContaining('1:17 proxy.image: ')]],
  ])('%j has faults %j', async (text, faults) => {
    repository = await createRepository()
    await repository.commit({ ...files, ...product, [gatewayYaml]: `${text}\n` })
    const compiled = await compile(await openFolder(repository.work))
    const found = compiled.ok ? [] : compiled.faults.map((fault) => describeFault(fault).replace(`${gatewayYaml}:`, ''))
    expect(found).toEqual(faults)
  })

  test('a plan shows that its sources changed', async () => {
    repository = await createRepository()
    await repository.commit({ ...files, ...product, [gatewayYaml]: 'proxy: { build: product }\n' })
    const ask = (commit: string) => planFolder({ folder: repository.work, branch: 'main', inherited, commit })
    await repository.commit({ 'README.md': 'words' })
    expect((await ask('HEAD')).different).toBe(false)
    await repository.commit({ 'product/proxy/main.ts': '// two\n' })
    expect((await ask('HEAD')).lines[0]).toBe('+/- proxy   the gateway has a new version')
  })
})

const never = AbortSignal.timeout(600_000)
const inherited = { PATH: process.env.PATH ?? '' }
