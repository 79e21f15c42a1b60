import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Journal, openJournal } from '../../controller/journal/journal.ts'
import { type Courier, type Outbox, openOutbox, Unwelcome } from '../../controller/outbox.ts'
import { until } from '../support/until.ts'

let state: string
let journal: Journal
let outbox: Outbox
let told: string[]
/** What becomes of the next try. */
let fault: Error | 'hang' | undefined

beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'outbox-'))
  journal = openJournal(state)
  outbox = openOutbox(journal, pino({ level: 'silent' }))
  told = []
  fault = undefined
})
afterEach(async () => {
  vi.useRealTimers()
  await outbox[Symbol.asyncDispose]()
  journal[Symbol.dispose]()
  await rm(state, { recursive: true, force: true })
})

function courier(kind = 'post'): Courier {
  return {
    kind,
    async carry(key, body, signal) {
      if (fault === 'hang') await new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
      if (fault instanceof Error) throw fault
      told.push(`${key}: ${body}`)
    },
  }
}

const waits = (kind = 'post') => journal.letters(kind).map(({ key, body, attempts }) => `${key}: ${body} (${attempts})`)

test('tells what it is given, in order, and nothing twice in a row', async () => {
  outbox.employ(courier())
  for (const [key, body] of [
    ['a', '1'],
    ['b', '1'],
    ['a', '1'],
  ] as const)
    outbox.send('post', key, body)
  await until('all is told', () => told.length === 2)
  outbox.send('post', 'a', '1')
  outbox.send('post', 'a', '2')
  await until('the change is told', () => told.length === 3)
  outbox.send('post', 'a', '1')
  await until('the change back is told', () => told.length === 4)
  expect(told).toEqual(['a: 1', 'b: 1', 'a: 2', 'a: 1'])
  expect(outbox.delivery('post')).toEqual({ waiting: 0, trouble: undefined })
})

test('keeps of a key only the latest while nobody takes it, and tells why', async () => {
  fault = new Error('nobody is there')
  outbox.employ(courier())
  outbox.send('post', 'a', '1')
  await until('it was tried', () => outbox.delivery('post').trouble === 'nobody is there')
  outbox.send('post', 'a', '2')
  outbox.send('post', 'a', '3')
  expect(waits().map((line) => line.slice(0, 4))).toEqual(['a: 3'])
  fault = undefined
  await until('it is told', () => told.length === 1, 5_000)
  expect(told).toEqual(['a: 3'])
  expect(outbox.delivery('post').trouble).toBeUndefined()
})

test('tells after a restart what was not told before it', async () => {
  fault = new Unwelcome('the token is wrong')
  outbox.employ(courier())
  outbox.send('post', 'a', '1')
  outbox.send('post', 'b', '1')
  await until('both were refused', () => waits().join() === 'a: 1 (1),b: 1 (1)')
  await outbox[Symbol.asyncDispose]()
  fault = undefined
  outbox = openOutbox(journal, pino({ level: 'silent' }))
  expect(outbox.delivery('post')).toEqual({ waiting: 2, trouble: 'the token is wrong' })
  outbox.employ(courier())
  await until('both are told', () => told.length === 2)
})

test('does not ask for each letter in turn who does not answer', async () => {
  fault = new Error('nobody is there')
  outbox.employ(courier())
  await Promise.resolve()
  for (const key of ['a', 'b', 'c']) outbox.send('post', key, '1')
  await until('one was tried', () => outbox.delivery('post').trouble !== undefined)
  const now = Date.now()
  expect(journal.letters('post').every(({ next }) => next > now)).toBe(true)
  expect(journal.letters('post').filter(({ attempts }) => attempts > 0)).toHaveLength(1)
})

test('a courier that hangs delays no other kind, and no sender', async () => {
  fault = 'hang'
  outbox.employ(courier('slow'))
  const quick: string[] = []
  outbox.employ({ kind: 'quick', carry: async (key) => void quick.push(key) })
  outbox.send('slow', 'a', '1')
  outbox.send('quick', 'a', '1')
  await until('the other kind is told', () => quick.length === 1)
  expect(waits('slow')).toEqual(['a: 1 (0)'])
})

test('waits from a second to a quarter of an hour between tries, and gives up after a day', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  fault = new Error('nobody is there')
  const letter = { kind: 'post', key: 'a', body: '1' }
  journal.writeLetter(letter, Date.now())
  const began = Date.now()
  const gaps: number[] = []
  const carry: Courier['carry'] = async () => {
    gaps.push(Date.now())
    throw fault
  }
  outbox.employ({ kind: 'post', carry })
  while (journal.letters('post').length > 0) {
    const next = journal.nextLetter('post')?.next ?? 0
    vi.setSystemTime(next)
    outbox.send('other', 'wake', String(next))
    while (journal.nextLetter('post')?.next === next) await new Promise((done) => setImmediate(done))
  }
  const waitsBetween = gaps.slice(1).map((at, index) => at - gaps[index]!)
  expect(waitsBetween[0]).toBeGreaterThanOrEqual(800)
  expect(waitsBetween[0]).toBeLessThanOrEqual(1_000)
  expect(waitsBetween[1]).toBeGreaterThanOrEqual(1_600)
  expect(Math.max(...waitsBetween)).toBeLessThanOrEqual(15 * 60_000)
  expect(Math.min(...waitsBetween.slice(12))).toBeGreaterThanOrEqual(12 * 60_000)
  expect(Date.now() - began).toBeGreaterThan(24 * 3_600_000)
  expect(Date.now() - began).toBeLessThan(25 * 3_600_000)
})

test('a journal that cannot be written ends neither the sender nor the outbox', async () => {
  outbox.employ(courier())
  const { writeLetter } = journal
  journal.writeLetter = () => {
    throw new Error('the disk is full')
  }
  outbox.send('post', 'a', '1')
  journal.writeLetter = writeLetter
  outbox.send('post', 'b', '1')
  await until('the next is told', () => told.length === 1)
})
