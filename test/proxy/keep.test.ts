import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pack } from '#manifests/packed-table.ts'
import { openBudgetStore } from '../../proxy/budget-store.ts'
import { openKeep } from '../../proxy/keep.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keep-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const text = (revision: number) =>
  JSON.stringify(pack({ revision, grantsFile: 'x', agents: {}, servers: {}, starting: [], draining: [] }))
const { signal } = new AbortController()

test('two proxies that save at once leave the newest table, and nothing else', async () => {
  using one = await openKeep(folder)
  using two = await openKeep(folder)
  const revisions = Array.from({ length: 30 }, (_, i) => ((i * 7) % 30) + 1)
  await Promise.all(revisions.map((revision, i) => (i % 2 === 0 ? one : two).save(revision, text(revision), signal)))
  expect((await one.load())?.revision).toBe(30)
  expect((await readdir(folder)).filter((name) => name.startsWith('table'))).toEqual(['table.json'])
})

test('a table that was cut off is replaced, and never taken for one', async () => {
  using keep = await openKeep(folder)
  expect(await keep.load()).toBeUndefined()
  await keep.save(3, text(3), signal)
  await writeFile(join(folder, 'table.json'), text(3).slice(0, 20))
  await expect(keep.load()).rejects.toThrow()
  await keep.save(2, text(2), signal)
  expect((await keep.load())?.revision).toBe(2)
})

test('what another proxy has kept since is not replaced by an older table', async () => {
  using one = await openKeep(folder)
  using two = await openKeep(folder)
  await one.save(1, text(1), signal)
  await two.save(3, text(3), signal)
  await one.save(2, text(2), signal)
  expect((await one.load())?.revision).toBe(3)
})

test('calls are counted while a table is being kept', async () => {
  using keep = await openKeep(folder)
  using budgets = openBudgetStore(join(folder, 'state.db'))
  const saving = keep.save(1, text(1), signal)
  expect(budgets.take([{ server: 's', tool: 't', count: 1 }], [], 0)).toEqual([])
  await saving
})
