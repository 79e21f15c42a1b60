import { afterAll, expect, test } from 'vitest'
import { openEngine } from '../../controller/docker/docker.ts'
import { mark } from '../../controller/docker/labels.ts'
import { type Estate, ensureEgress, ensureServerNetwork } from '../../controller/docker/network.ts'
import { createTurn } from '../../controller/turn.ts'
import { removeInstance, testInstance } from '../support/engine.ts'
import { suite } from '../support/machine.ts'

suite('networks', ['docker'], () => {
  const signal = AbortSignal.timeout(120_000)
  const engine = openEngine()
  const estates = [testInstance(), testInstance()].map(
    (instance): Estate => ({
      ...{ engine, instance, subnets: '10.213.0.0/16', networking: createTurn() },
      credentials: async () => new Map(),
    }),
  )

  afterAll(async () => {
    for (const { instance } of estates) await removeInstance(instance)
  })

  test('of many servers are made at once, beside those of another controller', { timeout: 120_000 }, async () => {
    const servers = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    const makings = estates.flatMap((estate) => [
      ...servers.map((server) => ensureServerNetwork(estate, server, signal)),
      ensureEgress(estate, signal),
      ensureEgress(estate, signal),
    ])
    await Promise.all(makings)
    const instances = estates.map(({ instance }) => instance)
    const made = (await engine.networks(signal)).filter(({ Labels }) =>
      instances.includes(mark(Labels, 'instance') ?? ''),
    )
    expect(made.map(({ Name }) => Name).sort()).toEqual(
      instances.flatMap((instance) => [...servers, 'egress'].map((name) => `${instance}-${name}`)).sort(),
    )
  })
})
