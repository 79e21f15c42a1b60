import { afterEach, expect, test } from 'vitest'
import { driftOf } from '../../controller/drift.ts'
import { explain } from '../../controller/explain.ts'
import { plan } from '../../controller/plan.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import * as make from '../support/make.ts'
import { until } from '../support/until.ts'

const outline = make.server('outline')
const megabyte = 2 ** 20

let core: Core | undefined
afterEach(async () => {
  await core?.[Symbol.asyncDispose]()
  core = undefined
})

test('says which limit was changed, and from what', () => {
  const unit = make.running(outline, { limits: { memory: 64 * megabyte, cpus: 0.5, pids: 1000 } })
  expect(driftOf(make.runTarget(outline).generation, unit)).toBe(
    'its memory limit was changed by hand: 64m instead of 512m; its CPU limit was changed by hand: 0.5 instead of 1; its process limit was changed by hand: 1000 instead of 256',
  )
})

test('says nothing of a limit that the host does not tell', () => {
  const unit = make.running(outline, { limits: { memory: 512 * megabyte } })
  expect(driftOf(make.runTarget(outline).generation, unit)).toBeUndefined()
  expect(driftOf(make.runTarget(outline).generation, make.running(outline))).toBeUndefined()
})

test('plans to put right what was changed of servers, edge and proxy', () => {
  const generations = [make.running(outline, { drift: 'it was paused by hand' })]
  const { edge, proxies } = make.sight([])
  const drifted = {
    edge: { ...edge!, drift: 'it was disconnected from network gateway-outline by hand' },
    proxies: proxies.map((proxy) => ({ ...proxy, drift: 'it was paused by hand' })),
  }
  const observed = make.observed(generations, { sight: make.sight(generations, drifted), table: make.table([outline]) })
  expect(`\n${explain(plan(make.aim([outline]), make.wanted, observed))}`).toBe(`
~   edge      it was disconnected from network gateway-outline by hand
~   proxy     it was paused by hand
~   outline   it was paused by hand
0 to build, 0 to replace, 0 to remove, 3 to put right`)
})

test('(27) puts right in place what was changed, and leaves it after the fifth time in five minutes, until told to try again', async () => {
  core = await openCore()
  const { host, becomes, publish, rests, passed, table, server } = core
  const files = {
    'manifests/servers/wiki.yaml': imageServer('1'),
    'manifests/permissions.yaml': permissions({ ann: ['wiki'] }),
  }
  const head = await publish(files)
  await becomes(head)
  await rests()
  const before = table().servers.wiki
  const { id, spec } = host.generations[0]!
  for (let time = 1; time <= 5; time++) {
    host.change(spec, { drift: 'it was paused by hand' })
    await passed()
    await until('it is put right', () => host.generations[0]?.drift === undefined)
    await rests()
  }
  host.change(spec, { drift: 'it was paused by hand' })
  await passed()
  await rests()
  expect(host.generations).toMatchObject([{ id, drift: 'it was paused by hand', state: 'running' }])
  expect(table().servers.wiki).toEqual(before)
  const left = 'put right 5 times within 5m and left for now: it was paused by hand'
  expect(await server('wiki')).toMatchObject({ phase: 'stalled', reason: left })
  const told = await becomes(head, 'degraded')
  expect(told.servers).toEqual({ wiki: { phase: 'stalled', reason: left } })
  expect(told.repaired).toEqual(Array(5).fill(expect.stringMatching(/^20\S+Z wiki: it was paused by hand$/)))
  core.steward().retry('wiki')
  await until('it is put right once more', () => host.generations[0]?.drift === undefined)
  expect(await becomes(head, 'applied')).toMatchObject({ repaired: { length: 6 } })
})
