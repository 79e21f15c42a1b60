import { rename } from 'node:fs/promises'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Source, SourceDown } from '../../controller/source/source.ts'
import { watchSource } from '../../controller/source/watched-source.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { until } from '../support/until.ts'

const log = pino({ level: 'silent' })
const signal = new AbortController().signal
const second = 1_000
const tree = { commit: 'c'.repeat(40), list: async () => [], read: async function* () {} }

describe('a repository that does not answer', () => {
  let isDown = true
  const answer = async () => {
    if (isDown) throw new SourceDown('repository: cannot be reached')
    return tree
  }
  const source: Pick<Source, 'fetch'> = { fetch: answer }
  // Nothing else of it is asked.
  const watched = () => watchSource(source as Source, log)
  beforeEach(() => {
    isDown = true
    vi.useFakeTimers({ toFake: ['Date'] })
  })
  afterEach(() => vi.useRealTimers())

  test('is left alone for 5 s, then twice as long each time, at most 5 minutes, and for ever', async () => {
    const { fetch, patience, state } = watched()
    expect(patience()).toBe(0)
    for (const most of [5, 10, 20, 40, 80, 160, 300, 300, 300]) {
      expect(await fetch(signal)).toBeUndefined()
      const wait = patience()
      expect(wait).toBeGreaterThanOrEqual(most * second * 0.8)
      expect(wait).toBeLessThanOrEqual(most * second)
      expect(state()).toMatchObject({ ok: false, reason: 'repository: cannot be reached' })
      vi.setSystemTime(Date.now() + wait - 1)
      expect(patience()).toBe(1)
      vi.setSystemTime(Date.now() + 1)
      expect(patience()).toBe(0)
    }
  })

  test('is asked as before once it has answered, and left alone for 5 s again when it fails anew', async () => {
    const { fetch, patience, state } = watched()
    for (let failures = 0; failures < 4; failures++) await fetch(signal)
    isDown = false
    expect(await fetch(signal)).toBe(tree)
    expect([patience(), state()]).toMatchObject([0, { ok: true, reason: 'answers' }])
    isDown = true
    await fetch(signal)
    expect(patience()).toBeLessThanOrEqual(5 * second)
  })
})

describe('while the repository is left alone', () => {
  let core: Core
  const files = {
    'manifests/servers/wiki.yaml': imageServer('1'),
    'manifests/permissions.yaml': permissions({ ann: ['wiki'] }),
  }
  const source = async () => (await core.steward().status('public')).source
  beforeEach(async () => {
    core = await openCore()
    await core.becomes(await core.publish(files))
    await core.rests()
    await rename(core.repository.bare, `${core.repository.bare}.away`)
    core.rounds().ask()
    await until('it is down', async () => !(await source()).ok)
  })
  afterEach(() => core[Symbol.asyncDispose]())

  test('polls do not ask it, and it is asked again by itself', { timeout: 60_000 }, async () => {
    await rename(`${core.repository.bare}.away`, core.repository.bare)
    const began = Date.now()
    const polling = setInterval(() => core.rounds().poll(), 20)
    await until('it is asked', async () => (await source()).ok, 30_000)
    clearInterval(polling)
    expect(Date.now() - began).toBeGreaterThan(2 * second)
  })

  test('a webhook asks it at once, and so does the CLI', async () => {
    await rename(`${core.repository.bare}.away`, core.repository.bare)
    const head = await core.repository.publish({ 'README.md': 'words' })
    core.rounds().poll()
    core.steward().poke()
    const began = Date.now()
    await core.becomes(head, 'applied')
    expect(Date.now() - began).toBeLessThan(3 * second)
  })
})
