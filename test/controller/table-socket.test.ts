import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { definitionOf } from '#manifests/definition.ts'
import { PackedTable } from '#manifests/packed-table.ts'
import { asksHeader } from '#manifests/table.ts'
import { createPublisher, type Publisher } from '../../controller/publish.ts'
import { emptyDraft } from '../../controller/routes.ts'
import { openTableSocket } from '../../controller/table-socket.ts'

let folder: string
let publisher: Publisher
let agent: Agent
let ending: AsyncDisposable
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-'))
  publisher = createPublisher({ readTable: () => undefined, writeTable: () => {} }, emptyDraft('grants'))
  ending = await openTableSocket(folder, publisher)
  agent = new Agent({ connect: { socketPath: join(folder, 'table.sock') } })
})
afterEach(async () => {
  await agent.destroy()
  await ending[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

const report = (have: number) => ({ proxy: 'p', have, counters: {}, generations: {} })

function poll(body: unknown, signal?: AbortSignal) {
  const headers = { 'content-type': 'application/json' }
  const options = { method: 'POST', headers, body: JSON.stringify(body), dispatcher: agent } as const
  return request('http://controller/table', { ...options, ...(signal && { signal }) })
}

test('is open to all in its folder', async () => {
  expect((await stat(join(folder, 'table.sock'))).mode & 0o777).toBe(0o666)
})

test('answers with the table as soon as there is a newer one', async () => {
  const held = poll(report(0))
  await expect.poll(() => publisher.heard.has('p')).toBe(true)
  publisher.publish((draft) => ({ ...draft, agents: { bob: { hashes: [], grants: {} } } }))
  const { statusCode, body } = await held
  expect(statusCode).toBe(200)
  expect(PackedTable.parse(await body.json())).toMatchObject({ revision: 1, agents: [{ name: 'bob' }] })
})

test('lets go of a poll that its proxy drops, and answers the next', async () => {
  publisher.publish((draft) => draft)
  const dropping = new AbortController()
  const dropped = poll(report(1), dropping.signal)
  await expect.poll(() => publisher.heard.get('p')?.report.have).toBe(1)
  dropping.abort()
  await expect(dropped).rejects.toThrow()
  expect((await poll(report(0))).statusCode).toBe(200)
})

test.each([
  ['no report', {}],
  ['a revision that is none', report(-1)],
  ['a key that no proxy sends', { ...report(0), more: 1 }],
])('refuses %s, and remembers nothing of it', async (_, body) => {
  publisher.publish((draft) => draft)
  const answer = await poll(body)
  expect(answer.statusCode).toBe(400)
  expect(await answer.body.json()).toHaveProperty('error')
  expect(publisher.heard.size).toBe(0)
})

test('ends open polls when it closes', async () => {
  const held = poll(report(0))
  await expect.poll(() => publisher.heard.size).toBe(1)
  await ending[Symbol.asyncDispose]()
  await expect(held).rejects.toThrow()
})

test('takes the place of what a dead controller left', async () => {
  await ending[Symbol.asyncDispose]()
  await writeFile(join(folder, 'table.sock'), '')
  ending = await openTableSocket(folder, publisher)
  publisher.publish((draft) => draft)
  expect((await poll(report(0))).statusCode).toBe(200)
})

test('says in an answer without a table what it would know', async () => {
  publisher.publish((draft) => draft)
  const answer = publisher.define('wiki@a', 5_000, AbortSignal.timeout(10_000))
  const { statusCode, headers } = await poll(report(1))
  expect([statusCode, headers[asksHeader]]).toEqual([204, 'wiki@a'])
  const echo = definitionOf('echo', {})
  const next = poll({ ...report(1), definitions: { 'wiki@a': [echo] } })
  expect(await answer).toEqual([echo])
  publisher.publish((draft) => ({ ...draft, grantsFile: 'other' }))
  expect((await next).headers).not.toHaveProperty(asksHeader)
})
