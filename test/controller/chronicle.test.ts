import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createChronicle } from '../../controller/chronicle.ts'
import { type Journal, openJournal } from '../../controller/journal/journal.ts'
import { commitStatus } from '../support/controller.ts'
import * as make from '../support/make.ts'

let state: string
let journal: Journal
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'journal-'))
  journal = openJournal(state)
})
afterEach(async () => {
  journal[Symbol.dispose]()
  await rm(state, { recursive: true })
})

function reopen(): void {
  journal[Symbol.dispose]()
  journal = openJournal(state)
}

const chronicle = () => createChronicle(journal, () => {})
const history = () => journal.history(99).map(({ commit, phase }) => `${commit} ${phase}`)

test('knows nothing at first', () => {
  expect([journal.readTable(), journal.history(9), journal.failures(), journal.latest(['applied'])]).toEqual([
    undefined,
    [],
    [],
    undefined,
  ])
  expect(journal.commit('a')).toBeUndefined()
})

test('keeps the table, with all that is in it, over a restart', () => {
  const table = make.table([make.server('wiki')], { bob: make.agent({ wiki: make.whole }, { expires: '2027-01-31' }) })
  journal.writeTable({ ...table, revision: 1 })
  journal.writeTable(table)
  reopen()
  expect(journal.readTable()).toEqual(table)
})

test('keeps the last failure of each server until that recovers', () => {
  const failure = { server: 'wiki', spec: 's', commit: 'c', kind: 'build', reason: 'no', log: 'npm said no' } as const
  journal.fail({ ...failure, reason: 'first' })
  journal.fail(failure)
  journal.fail({ ...failure, server: 'chess' })
  reopen()
  expect(journal.failures()).toEqual([
    { ...failure, attempts: 2, at: expect.any(Number) },
    { ...failure, server: 'chess', attempts: 1, at: expect.any(Number) },
  ])
  journal.fail({ ...failure, spec: 'other' })
  expect(journal.failures()).toContainEqual({ ...failure, spec: 'other', attempts: 1, at: expect.any(Number) })
  journal.recover('wiki')
  journal.recover('nobody')
  expect(journal.failures().map(({ server }) => server)).toEqual(['chess'])
})

test('tells what generations were made from, if asked for these', () => {
  const { parts } = make.runTarget(make.server('wiki'))
  journal.remember('s1', parts)
  journal.remember('s2', { ...parts, image: 'other' })
  reopen()
  expect(journal.known(['s2', 'unknown'])).toEqual(new Map([['s2', { ...parts, image: 'other' }]]))
  expect(journal.known([])).toEqual(new Map())
})

test('forgets the oldest of a thousand generations', () => {
  const { parts } = make.runTarget(make.server('wiki'))
  for (let at = 0; at <= 1_000; at++) journal.remember(`s${at}`, parts)
  const specs = Array.from({ length: 1_001 }, (_, at) => `s${at}`)
  expect(journal.known(specs).size).toBe(1_000)
})

test('finds the newest commit of a phase, however long ago', () => {
  journal.begin(commitStatus('a', { phase: 'applied' }))
  for (let at = 0; at < 200; at++) journal.begin(commitStatus(`r${at}`, { phase: 'rejected' }))
  expect(journal.latest(['applied', 'degraded'])?.commit).toBe('a')
  expect(journal.latest(['held'])).toBeUndefined()
})

test('tells a commit from first to last, and the same again changes nothing', () => {
  const told = chronicle()
  told.see('a', [])
  expect(told.current).toMatchObject({ commit: 'a', phase: 'seen', errors: [], plan: [], servers: {} })
  const { seen } = told.current!
  told.tell({ phase: 'applying', reason: 'deploying wiki' })
  told.tell({ phase: 'applied', reason: 'all' })
  const last = told.current
  told.tell({ phase: 'applied', reason: 'all' })
  expect(told.current).toBe(last)
  expect(journal.commit('a')).toMatchObject({ phase: 'applied', reason: 'all', seen })
})

test('tells changes to whoever waits, and only those', () => {
  let changes = 0
  const told = createChronicle(journal, () => void changes++)
  told.tell({ phase: 'applied' })
  expect(changes).toBe(0)
  told.see('a', [])
  told.tell({ reason: 'fetched' })
  expect(changes).toBe(1)
  told.tell({ phase: 'planned' })
  expect(changes).toBe(2)
})

test('calls superseded what a commit overtakes and what nobody looked at, and leaves what is final', () => {
  const told = chronicle()
  told.see('a', [])
  told.tell({ phase: 'applied' })
  told.see('b', [])
  told.see('e', ['d', 'c'])
  expect(history()).toEqual(['e seen', 'd superseded', 'c superseded', 'b superseded', 'a applied'])
  expect(journal.commit('c')?.reason).toBe('superseded by e')
})

test('goes on with the same commit after a restart', () => {
  chronicle().see('a', [])
  reopen()
  const told = chronicle()
  told.see('a', [])
  expect(told.current).toMatchObject({ commit: 'a', phase: 'seen' })
  told.see('b', [])
  reopen()
  const again = chronicle()
  again.see('c', [])
  expect(history()).toEqual(['c seen', 'b superseded', 'a superseded'])
})

test('puts a commit that the branch goes back to first again', () => {
  const told = chronicle()
  for (const commit of ['a', 'b']) {
    told.see(commit, [])
    told.tell({ phase: 'applied' })
  }
  told.see('a', [])
  expect(history()).toEqual(['a seen', 'b applied'])
  told.tell({ phase: 'applied' })
  expect(journal.latest(['applied'])?.commit).toBe('a')
  told.see('c', ['b'])
  expect(history()).toEqual(['c seen', 'a applied', 'b applied'])
})
