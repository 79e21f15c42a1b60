import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import { openCrier } from '../../controller/notices/crier.ts'
import { imageServer, permissions } from '../support/core.ts'
import { openFaultProxy } from '../support/fault-proxy.ts'
import { createLoopbackAnswer } from '../support/loopback-answer.ts'
import { openToldCore, page, type ToldCore } from '../support/told-core.ts'
import { until } from '../support/until.ts'

const wiki = 'manifests/servers/wiki.yaml'
const mail = 'manifests/servers/mail.yaml'
const gatewayYaml = 'manifests/gateway.yaml'
const grants = 'manifests/permissions.yaml'
const first = {
  [gatewayYaml]: 'bake: 0s\n',
  [wiki]: imageServer('1'),
  [mail]: imageServer('2'),
  [grants]: permissions({ ann: ['wiki', 'mail'] }),
}

let told: ToldCore
afterEach(() => told[Symbol.asyncDispose]())

const shown = (commit: string) =>
  told
    .shown(commit)
    .map(({ context, state }) => `${context} ${state}`)
    .toSorted()
const becomesShown = (commit: string, ...rows: readonly string[]) =>
  expect.poll(() => shown(commit)).toEqual(rows.toSorted())

test('shows a commit and each server that it changes, each transition once', async () => {
  told = await openToldCore()
  const head = await told.publish(first)
  await becomesShown(
    head,
    'gateway/deploy success',
    'gateway/grants success',
    'gateway/deploy/mail success',
    'gateway/deploy/wiki success',
  )
  expect(told.shown(head).map(({ url }) => url)).toEqual(Array(4).fill(`${page}/commits/${head}`))
  expect(told.shown(head).every(({ user }) => user.login === told.stage.bot.login)).toBe(true)
  const next = await told.publish({ [wiki]: imageServer('3') })
  await becomesShown(next, 'gateway/deploy success', 'gateway/grants success', 'gateway/deploy/wiki success')
  await told.core.rests()
  for (const commit of [head, next]) {
    const rows = told.rows(commit)
    expect(rows).toEqual([...new Set(rows)])
  }
  const before = told.site.repo(told.stage.repository).statuses.length
  await told.restart()
  await told.core.rests()
  expect(told.site.repo(told.stage.repository).statuses).toHaveLength(before)
  expect(told.desk().state().forge).toEqual({ ok: true, reason: 'is told everything' })
})

test('shows a server that was rolled back as other than its commit says, until that is over', async () => {
  told = await openToldCore()
  const { core } = told
  const old = await told.publish(first)
  await core.becomes(old, 'applied')
  const head = await told.publish({ [wiki]: imageServer('3') })
  const good = ['gateway/deploy success', 'gateway/grants success', 'gateway/deploy/wiki success']
  await becomesShown(head, ...good)
  await core.rests()
  await core.steward().rollback('wiki', undefined, AbortSignal.timeout(10_000))
  await becomesShown(head, 'gateway/deploy warning', 'gateway/grants success', 'gateway/deploy/wiki warning')
  expect(told.shown(head).map(({ context, description }) => `${context} ${description}`)).toEqual(
    expect.arrayContaining([
      'gateway/deploy all but wiki, rolled back on the machine, is as the commit says',
      expect.stringMatching(`^gateway/deploy/wiki rolled back to ${old.slice(0, 12)}, until its next change or `),
    ]),
  )
  core.steward().resume('wiki')
  await becomesShown(head, ...good)
})

test('shows what is wrong with a rejected commit, and what is overtaken', async () => {
  told = await openToldCore()
  await told.core.becomes(await told.publish(first))
  const broken = await told.publish({ [wiki]: 'imagee: x\n' })
  await becomesShown(broken, 'gateway/deploy failure', 'gateway/grants failure')
  expect(told.shown(broken)[0]?.description).toContain('manifests/servers/wiki.yaml:1:1')
  told.core.proxy().seen = () => ({ calls: 0, sessions: 0 })
  const waits = await told.publish({ [wiki]: imageServer('4') })
  await until('it is shown as on its way', () => told.rows(waits).includes('gateway/deploy/wiki pending'))
  const skipped = await told.core.repository.commit({ 'README.md': 'one' })
  const head = await told.publish({ [wiki]: imageServer('1') })
  await becomesShown(waits, 'gateway/deploy warning', 'gateway/grants warning', 'gateway/deploy/wiki warning')
  await becomesShown(skipped, 'gateway/deploy warning')
  expect(told.shown(skipped)[0]?.description).toBe(`superseded by ${head.slice(0, 12)}`)
})

test('(25) deploys as quickly while nobody takes statuses and notices, and tells later', async () => {
  told = await openToldCore()
  const timed = async (letter: string) => {
    const began = performance.now()
    const head = await told.publish({ ...first, [wiki]: imageServer(letter) })
    await told.core.becomes(head, 'applied')
    return { head, took: performance.now() - began }
  }
  await timed('1')
  const free = await timed('3')
  await using receiver = await createLoopbackAnswer()
  await using hole = await openFaultProxy(receiver.url)
  for (const way of [told.way, hole]) way.fault = { kind: 'hang' }
  const crier = cryTo(`${hole.url}/notice`)
  const broken = await told.publish({ [wiki]: 'imagee: x\n' })
  await told.core.becomes(broken, 'rejected')
  await until('a notice is on its way', () => hole.requests > 0)
  const held = await timed('4')
  expect(held.took).toBeLessThan(free.took * 3 + 1_000)
  expect(told.rows(held.head)).toEqual([])
  expect(receiver.seen).toEqual([])
  for (const way of [told.way, hole]) way.fault = { kind: 'reset' }
  await crier[Symbol.asyncDispose]()
  await told.restart()
  await until('the trouble is told', () => told.desk().state().forge?.ok === false)
  expect(told.desk().state().forge?.reason).toMatch(/^\d+ not told: the forge does not answer/)
  told.way.fault = { kind: 'none' }
  await becomesShown(held.head, 'gateway/deploy success', 'gateway/grants success', 'gateway/deploy/wiki success')
  await until('all is well', () => told.desk().state().forge?.reason === 'is told everything')
  hole.fault = { kind: 'none' }
  await using _ = cryTo(`${hole.url}/notice`)
  await until('the notice comes', () => receiver.seen.includes('POST /notice'))
})

function cryTo(url: string): AsyncDisposable {
  return openCrier({
    journal: told.core.journal(),
    outbox: told.outbox(),
    log: pino({ level: 'silent' }),
    bell: told.core.rounds().bell,
    status: () => told.core.steward().status('public'),
    notifications: () => ({ webhook: { url }, about: ['degraded', 'stalled', 'recovered', 'held'], most: 100 }),
    secrets: async () => new Map(),
    page,
  })
}

test('tells again what a forge in trouble did not take', async () => {
  const html = { 'content-type': 'text/html' }
  told = await openToldCore()
  const faults = [
    { kind: 'answer', status: 500 },
    { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
    { kind: 'answer', status: 404, headers: html, body: '<h1>' },
    { kind: 'half' },
    { kind: 'answer', status: 200, headers: html, body: '<h1>' },
  ] as const
  let letter = 1
  for (const fault of faults) {
    told.way.fault = fault
    const head = await told.publish({ ...first, [wiki]: imageServer(`${letter++}`) })
    await told.core.becomes(head, 'applied')
    await until('it was tried', () => told.desk().state().forge?.ok === false)
    told.way.fault = { kind: 'none' }
    await until('it is told', () => shown(head).includes('gateway/deploy success'))
  }
})

test('says which right is missing, keeps what it has to tell, and does not hammer', async () => {
  told = await openToldCore()
  const repo = told.site.repo(told.stage.repository)
  repo.rights.set(told.stage.bot.login, 'read')
  const head = await told.publish(first)
  await told.core.becomes(head, 'applied')
  await until('the trouble is told', () => told.desk().state().forge?.ok === false)
  expect(told.desk().state().forge?.reason).toContain(
    `POST status is forbidden (403 "user should have a permission to write to a repo"): the user of GATEWAY_FORGE_TOKEN needs the right to write ${told.stage.repository} (given at ${told.way.url}/${told.stage.repository}/settings/collaboration)`,
  )
  await told.core.rests()
  const before = told.way.requests
  await new Promise((done) => setTimeout(done, 1_500))
  expect(told.way.requests).toBe(before)
  repo.rights.set(told.stage.bot.login, 'write')
  await told.restart()
  await until('it is told', () => shown(head).includes('gateway/deploy success'))
})

test('(11) applies commits that no webhook announced, counts them, and says so after three', async () => {
  told = await openToldCore({ grace: 50 })
  const { core, desk } = told
  const hear = (commit?: string) =>
    desk().reception?.hear({ about: 'branch', ...(commit === undefined ? {} : { commit }) })
  await core.becomes(await told.publish(first), 'applied')
  const announced = await told.publish({ [wiki]: imageServer('3') })
  hear(announced)
  await core.becomes(announced, 'applied')
  for (const letter of ['4', '5', '6']) {
    expect(desk().state().webhook?.ok).toBe(true)
    await core.becomes(await told.publish({ [wiki]: imageServer(letter) }), 'applied')
  }
  await until('people are told', () => desk().state().webhook?.ok === false)
  expect(desk().state().webhook?.reason).toContain('3 commits came without a webhook')
  expect(desk().state().webhook?.reason).toContain(`ALLOWED_HOST_LIST let it reach ${page}/webhook/forgejo`)
  expect(await core.steward().metrics()).toContain('gateway_webhook_deliveries_total{outcome="missed"} 3')
  hear()
  expect(desk().state().webhook?.ok).toBe(true)
})
