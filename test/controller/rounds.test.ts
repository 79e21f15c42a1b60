import { afterEach, expect, test } from 'vitest'
import { HostDown } from '../../controller/host.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { until } from '../support/until.ts'

const wiki = 'manifests/servers/wiki.yaml'
const grants = 'manifests/permissions.yaml'

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

const commit = { [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }

test('has passed once a pass that began after the question has ended', async () => {
  core = await openCore()
  await core.publish(commit)
  const look = Promise.withResolvers<void>()
  const looks = Promise.withResolvers<void>()
  core.host.fault = (verb) => {
    if (verb !== 'observe') return
    looks.resolve()
    return look.promise
  }
  await looks.promise
  const head = await core.repository.publish({ 'README.md': 'words' })
  let passed = false
  const asked = core.passed().then(() => (passed = true))
  await until('the head is seen', () => core.rounds().chronicle.current?.commit === head)
  expect(passed).toBe(false)
  core.host.fault = () => {}
  look.resolve()
  await asked
  expect(core.rounds().seen?.aim.commit).toBe(head)
})

test('has passed also where the pass failed', async () => {
  core = await openCore()
  await core.becomes(await core.publish(commit))
  core.host.fault = () => {
    throw new HostDown('the engine does not answer')
  }
  await core.passed()
  expect(core.rounds().host).toMatchObject({ ok: false, reason: 'the engine does not answer' })
})

test('is not waited for any longer than the signal says', async () => {
  core = await openCore()
  await core.becomes(await core.publish(commit))
  const look = Promise.withResolvers<void>()
  core.host.fault = () => look.promise
  await expect(core.rounds().passed(AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' })
  look.resolve()
})

test('tells what fails in a lane through no fault of the commit, and tries it again by itself', async () => {
  core = await openCore()
  core.host.fault = (verb) => {
    if (verb === 'start') throw new HostDown('the disk is full')
  }
  const head = await core.publish(commit)
  await until('people are told', async () => (await core.server('wiki'))?.reason === 'tried again: the disk is full')
  expect(await core.server('wiki')).toMatchObject({ phase: 'deploying' })
  core.host.fault = () => {}
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
  await core.rests()
  expect(core.rounds().means?.troubles.reasons).toEqual(new Map())
})

test('forgets the trouble of a server that is no longer asked for', async () => {
  core = await openCore()
  core.host.fault = (verb) => {
    if (verb === 'start') throw new HostDown('the disk is full')
  }
  await core.publish(commit)
  await until('there is trouble', () => core.rounds().means?.troubles.reasons.has('wiki'))
  await core.becomes(await core.publish({ [wiki]: null, [grants]: permissions({ ann: [] }) }), 'applied')
  await core.rests()
  expect(core.rounds().means?.troubles.reasons).toEqual(new Map())
})

test('tells that no proxy can be started, and why', async () => {
  core = await openCore()
  core.host.proxies = []
  core.host.fault = (verb) => {
    if (verb === 'startProxy') throw new Error('the port is taken')
  }
  const head = await core.publish(commit)
  await until('people are told', async () =>
    (await core.steward().commit(head, 0, AbortSignal.timeout(1_000)))?.reason.includes('the port is taken'),
  )
  core.host.fault = () => {}
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
})

test('goes on when the journal cannot be written for a while, and tells in the end', async () => {
  core = await openCore()
  const journal = core.journal()
  const { record } = journal
  let failed = 0
  journal.record = () => {
    failed++
    throw new Error('the disk is full')
  }
  const head = await core.publish(commit)
  await until('it has tried twice', () => failed > 1)
  core.proxy().speakUp()
  journal.record = record
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
})

test('ends what it does when it is closed, and begins nothing more', async () => {
  core = await openCore()
  await core.becomes(await core.publish(commit))
  core.proxy().seen = () => ({ calls: 0, sessions: 0 })
  await core.publish({ [wiki]: imageServer('2') })
  await until('the new generation is probed', () => core.table().starting.length === 1)
  const rounds = core.rounds()
  const table = core.table()
  await core.end()
  const did = core.host.did.length
  rounds.ask()
  rounds.look()
  expect(core.host.did).toHaveLength(did)
  expect(rounds.publisher.table).toEqual(table)
})
