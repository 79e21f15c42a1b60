import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { openEngine } from '../../controller/docker/docker.ts'
import { driftOf } from '../../controller/drift.ts'
import type { Generation, ObservedGeneration } from '../../controller/host.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { post } from '../support/engine.ts'
import { suite } from '../support/machine.ts'
import { clear, find, generationOf } from '../support/stage.ts'
import { made, makeReady, signal } from './host-contract/stand.ts'

vi.setConfig({ testTimeout: 60_000 })

suite('what somebody changes on the engine', ['docker'], () => {
  const engine = openEngine()
  let fixture: DockerFixture
  let generation: Generation
  let before: ObservedGeneration

  beforeAll(async () => {
    fixture = await openDockerFixture()
    await makeReady(fixture.host)
  })
  beforeEach(async () => {
    await clear(fixture.host)
    generation = generationOf(made)
    await fixture.host.start(generation, signal)
    before = await find(fixture.host, generation.spec)
    await answers()
  })
  afterAll(() => fixture?.close())

  function answers() {
    const { upstream = '' } = before
    return expect.poll(() => fixture.fetchFromProxy(upstream).catch(String)).toBe('here')
  }

  const network = () => `${fixture.instance}-witness`
  const egress = () => `${fixture.instance}-egress`
  const changes: readonly [string, () => Promise<unknown>, () => string][] = [
    ['paused', () => post(`/containers/${before.id}/pause`, {}), () => 'it was paused by hand'],
    [
      'taken from its network',
      () => engine.disconnect(network(), before.id, signal),
      () => `it was disconnected from network ${network()} by hand`,
    ],
    [
      'taken from its way out',
      () => engine.disconnect(egress(), before.id, signal),
      () => `it was disconnected from network ${egress()} by hand`,
    ],
    [
      'put on another network',
      () => engine.connect('bridge', before.id, signal),
      () => 'it was connected to network bridge by hand',
    ],
    [
      'given another name',
      () => engine.renameContainer(before.id, `${fixture.instance}-mine`, signal),
      () => `it was renamed by hand: ${fixture.instance}-mine instead of ${before.name}`,
    ],
    [
      'given less memory',
      () => engine.updateContainer(before.id, { Memory: 2 ** 26 }, signal),
      () => 'its memory limit was changed by hand: 64m instead of 256m',
    ],
    [
      'given another share of CPU, and more processes',
      () => engine.updateContainer(before.id, { NanoCpus: 5e8, PidsLimit: 1000 }, signal),
      () =>
        'its CPU limit was changed by hand: 0.5 instead of 1; its process limit was changed by hand: 1000 instead of 64',
    ],
    [
      'not to be started again',
      () => engine.updateContainer(before.id, { RestartPolicy: { Name: 'no' } }, signal),
      () => 'its restart policy was changed by hand',
    ],
  ]

  test.each(changes)('(27) is told and put right in place: a server %s', async (_, change, words) => {
    const ending = new AbortController()
    const told = (async () => {
      for await (const _ of fixture.host.changes(ending.signal))
        if (driftOf(generation, await find(fixture.host, generation.spec)) !== undefined) return 'told'
      return 'not told'
    })()
    await expect.poll(async () => (await find(fixture.host, generation.spec)).state).toBe('running')
    await change()
    expect(driftOf(generation, await find(fixture.host, generation.spec))).toBe(words())
    expect(await told).toBe('told')
    ending.abort()
    await fixture.host.start(generation, signal)
    const after = await find(fixture.host, generation.spec)
    expect(after).toEqual(before)
    await answers()
  })

  test('(27) is put right in place: an edge that was paused, renamed, and taken from its networks', async () => {
    const { edge } = await fixture.host.observe(signal)
    const id = edge?.id ?? ''
    await post(`/containers/${id}/pause`, {})
    await engine.renameContainer(id, `${fixture.instance}-mine`, signal)
    await engine.disconnect(network(), id, signal)
    await engine.disconnect(`0-${fixture.instance}`, id, signal)
    const drifted = (await fixture.host.observe(signal)).edge
    for (const words of ['it was paused', 'it was renamed', `from network ${network()}`, `from network 0-`])
      expect(drifted?.drift).toContain(words)
    await fixture.host.startEdge(signal)
    expect((await fixture.host.observe(signal)).edge).toEqual(edge)
    await answers()
    await expect.poll(() => fetch(fixture.published).then(({ status }) => status, String)).toBe(200)
  })

  test('(27) is put right in place: a proxy that was paused and renamed', async () => {
    const { proxies } = await fixture.host.observe(signal)
    const id = proxies[0]?.id ?? ''
    await post(`/containers/${id}/pause`, {})
    await engine.renameContainer(id, `${fixture.instance}-mine`, signal)
    expect((await fixture.host.observe(signal)).proxies[0]?.drift).toContain('it was paused by hand')
    await fixture.host.startProxy(signal)
    expect((await fixture.host.observe(signal)).proxies).toEqual(proxies)
    await expect.poll(() => fetch(fixture.published).then(({ status }) => status, String)).toBe(200)
  })

  test('starts a server that was taken from its network while it was stopped', async () => {
    await fixture.host.stop(before.id, signal)
    await engine.disconnect(network(), before.id, signal)
    await fixture.host.resume(before.id, signal)
    await answers()
  })
})
