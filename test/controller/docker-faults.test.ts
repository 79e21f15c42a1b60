import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { openDockerHost, openEngine } from '../../controller/docker/docker.ts'
import type { Engine } from '../../controller/docker/engine.ts'
import { createDockerHost } from '../../controller/docker/host.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import { type Generation, type Host, HostDown, type ObservedGeneration } from '../../controller/host.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { post } from '../support/engine.ts'
import { type Fault, type FaultProxy, openFaultProxy } from '../support/engine-proxy.ts'
import { baseImage, suite } from '../support/machine.ts'
import { find, generationOf, requestOf, specOf } from '../support/stage.ts'
import { witness } from '../support/witness.ts'

vi.setConfig({ testTimeout: 60_000 })

const signal = new AbortController().signal
const made = buildInputOf(witness)

/** Each with the calls at which it is made. */
const faults: readonly [Fault, string][] = [
  [500, 'GET /containers/json'],
  [500, 'GET /containers/*/json'],
  [500, 'GET /networks'],
  [500, 'GET /images/json'],
  [500, 'GET /images/*/json'],
  [500, 'POST /containers/create'],
  [500, 'POST /containers/*/start'],
  [500, 'POST /containers/*/stop'],
  [500, 'DELETE /containers/*'],
  [500, 'POST /networks/create'],
  [500, 'POST /networks/*/connect'],
  [500, 'DELETE /networks/*'],
  [404, 'GET /containers/*/json'],
  [404, 'GET /images/*/json'],
  [404, 'POST /containers/*/start'],
  [409, 'POST /containers/create'],
  [409, 'DELETE /containers/*'],
  ['empty', 'GET /containers/json'],
  ['empty', 'GET /networks'],
  ['empty', 'GET /images/json'],
  ['half', 'GET /containers/json'],
  ['half', 'GET /containers/*/json'],
  ['half', 'GET /networks'],
  ['hang', 'GET /containers/json'],
  ['hang', 'POST /containers/create'],
  ['hang', 'POST /containers/*/stop'],
  ['drop', 'POST /containers/*/start'],
  ['slow', 'POST /containers/create'],
]

/** What ends without a limit of ours. */
const answered: readonly Fault[] = [500, 404, 409, 'half']

suite('an engine that answers wrongly', ['docker'], () => {
  const engine = openEngine()
  let fixture: DockerFixture
  let proxy: FaultProxy
  let host: Host
  let other: ObservedGeneration
  beforeAll(async () => {
    fixture = await openDockerFixture()
    await fixture.host.prepare(() => {}, signal)
    await fixture.host.startEdge(signal)
    await fixture.host.build(requestOf('witness', made), signal)
    await fixture.host.build(requestOf('other', made), signal)
    await fixture.host.start(generationOf(made, { server: 'other', spec: specOf('other') }), signal)
    other = await find(fixture.host, specOf('other'))
    proxy = await openFaultProxy()
    host = await openDockerHost(fixture.options, signal, proxy.socket)
  })
  afterEach(() => {
    proxy.fault = () => undefined
  })
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]()
    await fixture?.close()
  })

  /** What another server has, looked at without the proxy. */
  async function untouched(): Promise<void> {
    expect(await find(fixture.host, specOf('other'))).toEqual(other)
    const names = (await engine.networks(signal)).map(({ Name }) => Name)
    expect(names).toContain(`${fixture.instance}-other`)
  }

  async function deploy(generation: Generation, limit: AbortSignal): Promise<void> {
    await host.observe(limit)
    await host.build(requestOf('witness', made), limit)
    await host.start(generation, limit)
  }

  async function remove(limit: AbortSignal): Promise<void> {
    const { generations } = await host.observe(limit)
    for (const { id, server } of generations)
      if (server === 'witness') {
        await host.stop(id, limit)
        await host.remove(id, limit)
      }
    await host.forget('witness', limit)
  }

  /** Acts while the fault is there, and again once it is not; gives what went wrong. */
  async function through([fault, at]: readonly [Fault, string], act: (limit: AbortSignal) => Promise<void>) {
    proxy.fault = (call) => (call === at ? fault : undefined)
    const wrong = await act(AbortSignal.timeout(answered.includes(fault) ? 30_000 : 1_500)).then(
      () => undefined,
      (error: unknown) => error,
    )
    await untouched()
    proxy.fault = () => undefined
    await act(signal)
    await untouched()
    return wrong
  }

  test.each(faults)('does no harm and holds nothing up: %s at %s', async (...fault) => {
    const generation = generationOf(made)
    const wrong = [await through(fault, (limit) => deploy(generation, limit))]
    const { generations } = await fixture.host.observe(signal)
    expect(generations.filter(({ server }) => server === 'witness')).toMatchObject([
      { spec: generation.spec, state: 'running' },
    ])
    wrong.push(await through(fault, remove))
    const after = await fixture.host.observe(signal)
    expect(after.generations.map(({ server }) => server)).toEqual(['other'])
    expect(after.left).not.toContain('witness')
    if (fault[1].startsWith('GET') && (fault[0] === 500 || fault[0] === 'half'))
      for (const error of wrong) if (error !== undefined) expect(error).toBeInstanceOf(HostDown)
  })

  test('is not believed when it lists nothing, or less than there is', async () => {
    await host.observe(signal)
    proxy.fault = (call) => (call === 'GET /containers/json' ? 'empty' : undefined)
    await expect(host.observe(signal)).rejects.toThrow(HostDown)
    const afresh = await openDockerHost(fixture.options, signal, proxy.socket)
    await expect(afresh.observe(signal)).rejects.toThrow('does not list container')
    proxy.fault = (call) => (call === 'GET /containers/*/json' ? 404 : undefined)
    await expect(afresh.observe(signal)).rejects.toThrow('does not know it: not believed')
    proxy.fault = () => undefined
    expect((await host.observe(signal)).generations.map(({ server }) => server)).toEqual(['other'])
  })

  test('is followed again after its stream of events was cut', async () => {
    const ending = new AbortController()
    const changes = host.changes(ending.signal)[Symbol.asyncIterator]()
    const first = changes.next()
    await vi.waitFor(() => expect(proxy.calls).toContain('GET /events'))
    proxy.cut()
    expect((await first).done).not.toBe(true)
    const second = changes.next()
    await fixture.host.stop(other.id, signal)
    expect((await second).done).not.toBe(true)
    await fixture.host.resume(other.id, signal)
    ending.abort()
    other = await find(fixture.host, specOf('other'))
  })

  test.each(['started', 'created'])('takes down also what was still being %s for who had given up', async (how) => {
    const { instance } = fixture
    await fixture.host.prepare(() => {}, signal)
    await fixture.host.startEdge(signal)
    const options = {
      Image: baseImage,
      Cmd: ['sleep', '60'],
      Labels: labelsOf({ instance, role: 'server', server: 'late' }),
      HostConfig: { NetworkMode: `${instance}-egress` },
    }
    let isDue = false
    const slow: Pick<Engine, 'networks'> = {
      networks: async (...of) => {
        const all = await engine.networks(...of)
        if (!isDue) return all
        isDue = false
        const { Id } = JSON.parse(String(await post('/containers/create', options)))
        if (how === 'started') await engine.startContainer(Id, signal)
        return all
      },
    }
    const slowly = await createDockerHost({ ...engine, ...slow }, fixture.options, signal)
    isDue = true
    await slowly.down({ volumes: true }, signal)
    expect(isDue).toBe(false)
    expect(await engine.containers(labelsOf({ instance }), signal)).toEqual([])
    const left = (await engine.networks(signal)).filter(({ Name }) => Name.includes(instance))
    expect(left).toEqual([])
  })
})
