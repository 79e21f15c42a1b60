import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Probe } from '#manifests/table.ts'
import { createBell } from '../../controller/bell.ts'
import { acknowledged, drained, passGate } from '../../controller/gate.ts'
import { HostDown } from '../../controller/host.ts'
import { createPublisher, type Publisher } from '../../controller/publish.ts'
import { emptyDraft } from '../../controller/routes.ts'
import * as make from '../support/make.ts'
import { createMemoryHost, type MemoryHost } from '../support/memory-host.ts'
import { probe } from '../support/memory-proxy.ts'

const wiki = make.server('wiki', { start: 1_000 })
const { spec } = make.runTarget(wiki).generation
const key = `wiki@${spec}`

let host: MemoryHost
let publisher: Publisher
let ending: AbortController
beforeEach(() => {
  ending = new AbortController()
  host = createMemoryHost()
  host.generations = [make.running(wiki)]
  publisher = createPublisher({ readTable: () => undefined, writeTable: () => {} }, emptyDraft('grants'))
})
afterEach(() => ending.abort())

/** One report, as a proxy's poll brings it. */
function report(more: {
  readonly name?: string
  readonly have?: number
  readonly probe?: Probe
  readonly calls?: number
  readonly sessions?: number
}): void {
  const { name: proxy = 'gateway-proxy', have = 1, probe, calls = 0, sessions = 0 } = more
  const generation = probe === undefined ? { calls, sessions } : { calls, sessions, probe }
  void publisher.poll({ proxy, have, counters: {}, generations: { [key]: generation } }, ending.signal)
}

function addProxy(name: string, state: 'running' | 'exited' = 'running'): void {
  host.proxies = [...host.proxies, { id: name, name, state, startedAt: 2, spec: 'p1' }]
}

/** What became of a wait so far. */
function watch(wait: Promise<unknown>): { readonly state: () => string } {
  let state = 'waits'
  wait.then(
    () => (state = 'passed'),
    (error: unknown) => (state = error instanceof Error ? error.message : String(error)),
  )
  return { state: () => state }
}

const stir = createBell()
const gate = () => watch(passGate(wiki, spec, { host, stir, publisher }, ending.signal))

test('passes after three good answers', async () => {
  report({ probe: probe({ good: 2 }) })
  const passing = gate()
  await expect.poll(() => publisher.heard.size).toBe(1)
  expect(passing.state()).toBe('waits')
  report({ probe: probe({ good: 3 }) })
  await expect.poll(passing.state).toBe('passed')
})

test('does not pass while another live proxy has a bad answer', async () => {
  addProxy('other')
  report({ probe: probe() })
  report({ name: 'other', probe: probe({ ok: false, good: 0, error: 'HTTP 500' }) })
  await expect.poll(gate().state).toBe('not ready within 1 s: HTTP 500')
})

test('does not pass a server that lacks a tool which one of its budgets counts', async () => {
  const counted = make.server('wiki', {
    start: 1_000,
    budgets: { serch: { calls: 2, per: 'day', tools: ['serch'] } },
  })
  report({ probe: probe() })
  const passing = watch(passGate(counted, spec, { host, stir, publisher }, ending.signal))
  await expect
    .poll(passing.state)
    .toBe(
      'not ready within 1 s: its budget "serch" counts the tool "serch", which it does not have (did you mean "search"?)',
    )
})

test('does not ask a proxy that no longer runs', async () => {
  addProxy('other', 'exited')
  report({ probe: probe() })
  report({ name: 'other', probe: probe({ ok: false, good: 0, error: 'HTTP 500' }) })
  await expect.poll(gate().state).toBe('passed')
})

test('counts no answer from before the generation was started', async () => {
  host.generations = [make.running(wiki, { startedAt: Date.now() + 60_000 })]
  report({ probe: probe() })
  await expect.poll(gate().state).toBe('not ready within 1 s: no answer yet')
})

test('lets no time pass while there is no proxy to ask', async () => {
  host.proxies = []
  const passing = gate()
  let looks = 0
  host.fault = () => void looks++
  await expect.poll(() => looks).toBeGreaterThan(2)
  expect(passing.state()).toBe('waits')
})

test('fails at once where the generation is gone or has ended', async () => {
  host.generations = [make.running(wiki, { state: 'exited', exitCode: 3 })]
  await expect.poll(gate().state).toBe('it stopped with exit code 3')
  host.generations = []
  await expect.poll(gate().state).toBe('it is gone from the host')
})

test('fails where the host had to start it again meanwhile, but not for what happened before', async () => {
  host.generations = [make.running(wiki, { restarts: 4 })]
  const passing = gate()
  report({ probe: probe({ good: 1 }) })
  await expect.poll(() => publisher.heard.size).toBe(1)
  expect(passing.state()).toBe('waits')
  host.change(spec, { restarts: 5 })
  report({ probe: probe() })
  await expect.poll(passing.state).toBe('it stopped and was started again by the host')
})

test('passes on what the host says of itself', async () => {
  host.fault = () => {
    throw new HostDown('the engine does not answer')
  }
  await expect(passGate(wiki, spec, { host, stir, publisher }, ending.signal)).rejects.toBeInstanceOf(HostDown)
})

test('ends every wait with its signal', async () => {
  publisher.publish((draft) => draft)
  const waits = [
    passGate(wiki, spec, { host, stir, publisher }, ending.signal),
    acknowledged({ host, publisher }, { say: () => {}, signal: ending.signal }),
    drained(key, { limit: 60_000 }, { host, stir, publisher }, ending.signal),
  ].map(watch)
  report({ have: 0, calls: 1 })
  ending.abort(new Error('superseded'))
  await expect.poll(() => waits.map(({ state }) => state())).toEqual(['superseded', 'superseded', 'superseded'])
})

test('waits until every live proxy has the table, and says for whom', async () => {
  addProxy('other')
  addProxy('dead', 'exited')
  publisher.publish((draft) => draft)
  const said: string[] = []
  const waiting = watch(acknowledged({ host, publisher }, { say: (doing) => said.push(doing), signal: ending.signal }))
  report({ have: 1 })
  await expect.poll(() => said.at(-1)).toBe('waiting for other to take revision 1')
  report({ name: 'other', have: 1 })
  await expect.poll(waiting.state).toBe('passed')
})

test('is not content with a higher number of a table that a lost state knew', async () => {
  publisher.publish((draft) => draft)
  const said: string[] = []
  const waiting = watch(acknowledged({ host, publisher }, { say: (doing) => said.push(doing), signal: ending.signal }))
  report({ have: 812 })
  await expect.poll(() => said.at(-1)).toBe('waiting for gateway-proxy to take revision 813')
  expect(waiting.state()).toBe('waits')
  report({ have: 813 })
  await expect.poll(waiting.state).toBe('passed')
})

test('waits until nobody has a call or a session on it', async () => {
  report({ calls: 1 })
  const waiting = watch(drained(key, { limit: 60_000 }, { host, stir, publisher }, ending.signal))
  report({ calls: 0, sessions: 1 })
  let looks = 0
  host.fault = () => void looks++
  await expect.poll(() => looks).toBeGreaterThan(0)
  expect(waiting.state()).toBe('waits')
  report({})
  await expect.poll(waiting.state).toBe('passed')
})

test('waits no longer than it may', async () => {
  report({ calls: 1 })
  await expect.poll(watch(drained(key, { limit: 50 }, { host, stir, publisher }, ending.signal)).state).toBe('passed')
})

test('waits for nobody where no proxy runs', async () => {
  host.proxies = []
  await expect
    .poll(watch(drained(key, { limit: 60_000 }, { host, stir, publisher }, ending.signal)).state)
    .toBe('passed')
})
