import { expect, onTestFinished, test, vi } from 'vitest'
import { definitionOf } from '#manifests/definition.ts'
import { pollHold, type Report, type Table } from '#manifests/table.ts'
import { createPublisher, type Publisher } from '../../controller/publish.ts'
import { emptyDraft } from '../../controller/routes.ts'

const never = new AbortController().signal

function publisher(kept?: Table): { readonly tables: Publisher; readonly kept: () => Table | undefined } {
  let table = kept
  const keep = {
    readTable: () => table,
    writeTable(next: Table) {
      table = next
    },
  }
  return { tables: createPublisher(keep, emptyDraft('grants')), kept: () => table }
}

function report(have: number, proxy = 'p'): Report {
  return { proxy, have, counters: {}, generations: {} }
}

const withAgent = (name: string) => (draft: ReturnType<typeof emptyDraft>) => ({
  ...draft,
  agents: { ...draft.agents, [name]: { hashes: [], grants: {} } },
})

test('gives a new revision only where something differs', () => {
  const { tables } = publisher()
  expect(tables.publish(withAgent('bob'))).toBe(1)
  expect(tables.publish(withAgent('bob'))).toBe(1)
  expect(tables.publish(withAgent('ann'))).toBe(2)
})

test('answers a poll at once where the proxy has an older table', async () => {
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  expect((await tables.poll(report(0), never))?.revision).toBe(1)
})

test('answers a held poll as soon as there is a newer table', async () => {
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  const held = tables.poll(report(1), never)
  tables.publish(withAgent('ann'))
  expect((await held)?.revision).toBe(2)
})

test('ends a held poll with its signal', async () => {
  const { tables } = publisher()
  const gone = new AbortController()
  const held = tables.poll(report(0), gone.signal)
  gone.abort()
  expect(await held).toBeUndefined()
})

test('goes on above what a proxy has when the state was lost', async () => {
  const { tables } = publisher()
  const held = tables.poll(report(812), never)
  tables.publish(withAgent('bob'))
  expect((await held)?.revision).toBe(813)
})

test('climbs above a proxy that is heard only after the first publication', async () => {
  const { tables, kept } = publisher()
  tables.publish(withAgent('bob'))
  const answer = await tables.poll(report(812), never)
  expect(answer).toMatchObject({ revision: 813, agents: { bob: {} } })
  expect(kept()?.revision).toBe(813)
})

test('goes on with the kept table after a restart', async () => {
  const first = publisher()
  first.tables.publish(withAgent('bob'))
  const second = publisher(first.kept())
  expect((await second.tables.poll(report(0), never))?.agents).toHaveProperty('bob')
  expect(second.tables.publish(withAgent('ann'))).toBe(2)
})

test('forgets a proxy that has fallen silent, and no other', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  await tables.poll(report(0, 'gone'), never)
  vi.setSystemTime(Date.now() + pollHold)
  await tables.poll(report(0, 'here'), never)
  vi.setSystemTime(Date.now() + 2 * pollHold + 1)
  await tables.poll(report(0, 'new'), never)
  expect([...tables.heard.keys()]).toEqual(['here', 'new'])
})

const echo = definitionOf('echo', { description: 'says it again' })

test('asks a proxy that polls what the tools of a generation are, and gives its answer', async () => {
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  const held = tables.poll(report(1), never)
  const answer = tables.define('wiki@a', 5_000, never)
  expect(await held).toBeUndefined()
  expect(tables.asked('p')).toEqual(['wiki@a'])
  void tables.poll({ ...report(1), definitions: { 'wiki@a': [echo] } }, AbortSignal.abort())
  expect(await answer).toEqual([echo])
  expect(tables.heard.get('p')?.report).toEqual(report(1))
})

test('asks each proxy once a second, not more', async () => {
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  const answer = tables.define('wiki@a', 1_500, never)
  const began = Date.now()
  await tables.poll(report(1), never)
  expect(tables.asked('p')).toEqual(['wiki@a'])
  expect(tables.asked('p')).toEqual([])
  expect(tables.asked('q')).toEqual(['wiki@a'])
  await tables.poll(report(1), never)
  expect(Date.now() - began).toBeGreaterThan(900)
  expect(tables.asked('p')).toEqual(['wiki@a'])
  expect(await answer).toBeUndefined()
})

test('gives a newer table before it asks anything', async () => {
  const { tables } = publisher()
  tables.publish(withAgent('bob'))
  const answer = tables.define('wiki@a', 100, never)
  expect((await tables.poll(report(0), never))?.revision).toBe(1)
  expect(await answer).toBeUndefined()
})
