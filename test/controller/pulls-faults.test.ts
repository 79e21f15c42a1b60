import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openForge } from '../../controller/forge/client.ts'
import { type Consents, openConsents } from '../../controller/forge/consent.ts'
import { createWire } from '../../controller/wire.ts'
import { imageServer, permissions } from '../support/core.ts'
import { type FaultProxy, type HttpFault, openFaultProxy } from '../support/fault-proxy.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { type Counter, openCounter } from '../support/pull-counter.ts'
import { until } from '../support/until.ts'

const html = { 'content-type': 'text/html' }
const faults: readonly (readonly [string, HttpFault])[] = [
  ['500', { kind: 'answer', status: 500 }],
  ['404 with a page', { kind: 'answer', status: 404, headers: html, body: '<h1>' }],
  ['429 for a second', { kind: 'answer', status: 429, headers: { 'retry-after': '1' } }],
  ['a page', { kind: 'answer', status: 200, headers: html, body: '<h1>' }],
  ['half an answer', { kind: 'half' }],
  ['a reset', { kind: 'reset' }],
]

let site: FixtureForge
let desk: Counter
let way: FaultProxy

beforeAll(async () => {
  site = await openFixtureForge()
})
afterAll(() => site[Symbol.asyncDispose]())
beforeEach(async () => {
  way = await openFaultProxy(site.url)
  desk = await openCounter(site)
  await desk.moveMain({
    'manifests/permissions.yaml': permissions({ ann: ['wiki'] }),
    'manifests/servers/wiki.yaml': imageServer('a'),
  })
})
afterEach(async () => {
  await desk[Symbol.asyncDispose]()
  await way[Symbol.asyncDispose]()
})

describe('a pull request beside a forge in trouble', () => {
  test('waits as long as that lasts, whatever it is, and keeps its comment', async () => {
    const { pulls } = await desk.inspect('gateway', desk.stage.bot.token, way.url)
    const { branch, head, number } = await desk.propose({ 'README.md': 'words' })
    await desk.judged(head)
    const { id } = await desk.commentWith(number, head.slice(0, 12))
    for (const [name, fault] of faults) {
      way.fault = fault
      const next = await desk.stage.work.commit({ 'README.md': name })
      await desk.stage.push(branch)
      await until(`the trouble of ${name} is told`, () => pulls.trouble())
      expect(desk.statusOf(next)).toBeUndefined()
      expect(pulls.told(number)?.number).toBe(number)
      way.fault = { kind: 'none' }
      await desk.judged(next)
      await desk.commentWith(number, next.slice(0, 12))
      await until('all is well', () => pulls.trouble() === undefined)
    }
    expect(desk.commentsOf(number).map((one) => one.id)).toEqual([id])
  }, 60_000)

  test('is looked at slowly where the forge is slow', async () => {
    const { pulls } = await desk.inspect('gateway', desk.stage.bot.token, way.url)
    way.fault = { kind: 'slow', latency: 300 }
    const { head } = await desk.propose({ 'README.md': 'words' })
    await desk.judged(head)
    expect(pulls.trouble()).toBeUndefined()
  })

  test('is found again with its comment after the forge has told of none', async () => {
    const { pulls } = await desk.inspect('gateway', desk.stage.bot.token, way.url)
    const { head, number } = await desk.propose({ 'README.md': 'words' })
    await desk.judged(head)
    const { id } = await desk.commentWith(number, head.slice(0, 12))
    way.fault = { kind: 'answer', status: 200, headers: { 'content-type': 'application/json' }, body: 'null' }
    await until('it is taken for closed', () => pulls.told(number) === undefined)
    way.fault = { kind: 'none' }
    await until('it is told of again', () => pulls.told(number)?.head === head)
    expect(desk.commentsOf(number).map((one) => one.id)).toEqual([id])
  })
})

describe('what others consent to', () => {
  test('is unknown as long as the forge is in trouble, and never given for that', async () => {
    const { stage } = desk
    const { number } = await desk.propose({ 'README.md': 'words' })
    await stage.bob.ask('POST', `${stage.at}/pulls/${number}/reviews`, { event: 'APPROVED' }, 200)
    await until('it is merged', async () => {
      const { status } = await stage.alice.ask('POST', `${stage.at}/pulls/${number}/merge`, { Do: 'merge' })
      return status === 200
    })
    const line = { token: stage.bot.token, repository: stage.repository, inherited: {} }
    await using forge = openForge({ ...line, url: way.url })
    const merged = (await forge.pull(number, AbortSignal.timeout(10_000)))?.mergeCommit ?? ''
    const log = pino({ level: 'silent' })
    for (const [name, fault] of faults) {
      way.fault = fault
      const told = { hints: createWire<number>(), log, onChange: () => {}, every: 20 }
      await using consents: Consents = openConsents({ ...told, forge, branch: 'main' })
      await until(`${name} is told`, () => {
        const consent = consents.consent([merged], 1)
        return !consent.given && consent.because.includes('is not known yet: the forge ')
      })
      way.fault = { kind: 'none' }
      await until(`there is consent after ${name}`, () => consents.consent([merged], 1).given)
    }
  }, 60_000)
})
