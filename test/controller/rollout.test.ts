import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Aim } from '../../controller/aim.ts'
import { createBell } from '../../controller/bell.ts'
import type { BuildInput, Server } from '../../controller/desired.ts'
import { execute } from '../../controller/execute.ts'
import { BuildFailed, generationKey, HostDown } from '../../controller/host.ts'
import type { Attempt } from '../../controller/journal/failures.ts'
import { createLanes, type Lanes } from '../../controller/lanes.ts'
import { createMeters } from '../../controller/meters.ts'
import { plan } from '../../controller/plan.ts'
import { createPublisher, type Publisher } from '../../controller/publish.ts'
import { settle } from '../../controller/routes.ts'
import { BlobFault } from '../../controller/source/git-blobs.ts'
import type { Move } from '../../controller/step.ts'
import { createTurn } from '../../controller/turn.ts'
import type { World } from '../../controller/world.ts'
import * as make from '../support/make.ts'
import { createMemoryHost, type MemoryHost, type Verb } from '../support/memory-host.ts'
import { bad, good, type MemoryProxy, runProxy } from '../support/memory-proxy.ts'
import { treeOf } from '../support/tree.ts'
import { until } from '../support/until.ts'

const tree = treeOf({ 'servers/wiki/main.ts': 'b' })
const volumes = [{ source: 'data', target: '/data', shared: false }]

function inputOf(): BuildInput {
  return {
    ...make.buildInput({}),
    hash: 'b'.repeat(64),
    files: [{ path: 'main.ts', mode: '100644', oid: '0'.repeat(40), size: 1 }],
  }
}

/** Two versions of a server: one that serves, and the one that a commit asks for. */
const before = make.server('wiki', { env: { URL: 'a' }, start: 1_000, drain: 5_000 })
const after = make.server('wiki', { env: { URL: 'b' }, start: 1_000, drain: 5_000 })
const specOf = (server: Server) => make.runTarget(server).generation.spec
const keyOf = (server: Server) => generationKey(server.name, specOf(server))

let host: MemoryHost
let publisher: Publisher
let proxy: MemoryProxy
let lanes: Lanes
let ending: AbortController
let failures: Attempt[]
let moves: Move[]
let ended: unknown[]
beforeEach(() => {
  ending = new AbortController()
  failures = []
  moves = []
  ended = []
  host = createMemoryHost()
  host.built.add(generationKey('wiki', make.buildInput({ 'servers/wiki/main.ts': 'a' }).hash))
  lanes = createLanes(
    (_, error) => ended.push(error),
    () => {},
  )
})
afterEach(async () => {
  host.fault = () => {}
  await lanes.close()
  ending.abort()
})

/** Makes it so that `serving` runs and has its route. */
function stand(...serving: readonly Server[]): void {
  host.generations = serving.map((one) => make.running(one))
  let table = make.table(serving)
  publisher = createPublisher({ readTable: () => table, writeTable: (next) => (table = next) }, table)
  proxy = runProxy(publisher, ending.signal)
}

function world(aim: Aim): World {
  return {
    host,
    stir: createBell(),
    publisher,
    journal: memoryJournal(),
    meters: createMeters(),
    repairs: { begin: (repair) => void moves.push({ ...repair, at: Date.now() }), done: () => {}, raised: () => {} },
    builds: createTurn(),
    buildLog: () => () => {},
    admit: (draft) => settle(draft, aim),
  }
}

function memoryJournal(): World['journal'] {
  return {
    fail: (attempt) => void failures.push({ ...attempt, attempts: 1, at: Date.now() }),
    failures: () => failures,
    move: (move) => void moves.push({ ...move, at: Date.now() }),
    moves: () => moves,
    forgetMoves: () => {
      moves = []
    },
    recover: () => {
      failures = []
    },
    remember: () => {},
  }
}

/** Plans for a commit with these servers, and executes that; what runs on runs in lanes. */
async function go(...servers: readonly Server[]): Promise<void> {
  const aim = make.aim(servers)
  const sight = await host.observe(ending.signal)
  const known = new Map(failures.map((failure) => [failure.server, failure]))
  const steps = plan(aim, host.wantedFrom(), {
    sight,
    table: publisher.table,
    known: new Map(),
    failures: known,
    moves,
    now: Date.now(),
  })
  execute(steps, { aim, tree }, world(aim), lanes)
}

const settled = () => lanes.settled('wiki', AbortSignal.timeout(20_000))
const running = () => host.generations.filter(({ state }) => state === 'running').map(({ spec }) => spec)
const doing = () => lanes.runs.get('wiki')?.doing

function failAt(verb: Verb, error: Error): void {
  host.fault = (what) => {
    if (what === verb) throw error
  }
}

test('cuts over to a generation that is ready, then drains and stops the old one', async () => {
  stand(before)
  await go(after)
  await settled()
  expect(running()).toEqual([specOf(after)])
  expect(publisher.table).toMatchObject({ servers: { wiki: { generation: keyOf(after) } }, starting: [], draining: [] })
  expect(ended).toEqual([undefined])
})

test('keeps the old one serving while a proxy has not taken the cut-over', async () => {
  stand(before)
  proxy.seen = () => bad('not yet')
  await go(after)
  await until('it is probed', () => publisher.table?.starting.length === 1)
  host.proxies = [...host.proxies, { id: 'slow', name: 'slow', state: 'running', startedAt: 2, spec: 'p1' }]
  proxy.seen = good
  proxy.speakUp()
  await until('it waits for the slow one', () => doing()?.startsWith('waiting for slow'))
  expect(running()).toEqual([specOf(before), specOf(after)])
  runProxy(publisher, ending.signal, { name: 'slow' })
  await settled()
  expect(running()).toEqual([specOf(after)])
})

test('lets the old one finish its calls', async () => {
  stand(before)
  proxy.seen = (generation) => ({
    calls: generation === keyOf(before) ? 1 : 0,
    sessions: 0,
    probe: { ok: true, good: 3, at: Date.now() },
  })
  await go(after)
  await until('it drains', () => publisher.table?.draining.length === 1)
  await until('it waits', () => doing() === 'draining the previous generation')
  expect(running()).toContain(specOf(before))
  proxy.seen = () => ({ calls: 0, sessions: 0 })
  proxy.speakUp()
  await settled()
  expect(running()).toEqual([specOf(after)])
})

test('leaves the old one serving when the build fails, and keeps its last words', async () => {
  stand(before)
  const table = publisher.table
  failAt('build', new BuildFailed('build of wiki failed: exit 1', 'npm said no'))
  await go({ ...after, runs: { kind: 'build', input: inputOf() } })
  await settled()
  expect(failures).toMatchObject([
    { server: 'wiki', commit: 'c1', reason: 'build of wiki failed: exit 1', log: 'npm said no' },
  ])
  expect(running()).toEqual([specOf(before)])
  expect(publisher.table).toEqual(table)
})

// biome-ignore lint/correctness/useYield: it has nothing to give
async function* faulty(): AsyncGenerator<Buffer> {
  throw new BlobFault('git has no blob')
}

test('does not blame the commit for files that cannot be read', async () => {
  stand(before)
  const unreadable = { ...tree, read: faulty }
  const aim = make.aim([{ ...after, runs: { kind: 'build', input: inputOf() } }])
  const sight = await host.observe(ending.signal)
  const steps = plan(aim, host.wantedFrom(), {
    sight,
    table: publisher.table,
    known: new Map(),
    failures: new Map(),
    moves,
    now: 0,
  })
  execute(steps, { aim, tree: unreadable }, world(aim), lanes)
  await settled()
  expect(failures).toEqual([])
  expect(ended).toEqual([new BlobFault('git has no blob')])
})

test('stops a new one that is not ready, with the reason and its last words, and serves on', async () => {
  stand(before)
  proxy.seen = (generation) => (generation === keyOf(after) ? bad('HTTP 500', 'no key') : { calls: 0, sessions: 0 })
  await go(after)
  await settled()
  const log = `last words of gateway-wiki-${specOf(after).slice(0, 8)}\nits last answer: no key`
  expect(failures).toMatchObject([
    {
      server: 'wiki',
      spec: specOf(after),
      commit: 'c1',
      kind: 'unhealthy',
      reason: 'not ready within 1 s: HTTP 500',
      log,
    },
  ])
  expect(host.generations.map(({ spec }) => spec)).toEqual([specOf(before)])
  expect(running()).toEqual([specOf(before)])
  expect(publisher.table).toMatchObject({
    servers: { wiki: { generation: keyOf(before) } },
    starting: [],
    draining: [],
  })
  expect(ended).toEqual([undefined])
})

test('stops a new one that ends as soon as it is started', async () => {
  stand(before)
  host.born = ({ upstream: _, ...unit }) => ({ ...unit, state: 'exited', exitCode: 7 })
  await go(after)
  await settled()
  expect(failures).toMatchObject([{ reason: 'it stopped as soon as it was started' }])
  expect(publisher.table).toMatchObject({ servers: { wiki: { generation: keyOf(before) } }, starting: [] })
})

test('records why it failed even where its last words cannot be had', async () => {
  stand(before)
  host.logs = () => Promise.reject(new Error('no such log'))
  failAt('start', new Error('only Docker can run it'))
  await go(after)
  await settled()
  expect(failures).toMatchObject([{ reason: 'only Docker can run it', log: '' }])
})

test('stops the old one first where they would write one volume, and calls wait meanwhile', async () => {
  stand(before)
  proxy.seen = (generation) => (generation === keyOf(after) ? bad('not yet') : { calls: 0, sessions: 0 })
  await go({ ...after, volumes, start: 60_000 })
  await until('the new one is probed', () => publisher.table?.starting.length === 1)
  expect(running()).toEqual([specOf({ ...after, volumes })])
  expect(publisher.table?.servers.wiki).toMatchObject({ generation: keyOf(before) })
  expect(publisher.table?.servers.wiki?.upstream).toBeUndefined()
})

test('starts the old one again, and routes to it, when the new one that it made way for fails', async () => {
  stand(before)
  failAt('start', new Error('the volume is full'))
  await go({ ...after, volumes })
  await settled()
  expect(failures).toMatchObject([{ reason: 'the volume is full' }])
  expect(running()).toEqual([specOf(before)])
  const [unit] = host.generations
  expect(publisher.table).toMatchObject({
    servers: { wiki: { generation: keyOf(before), upstream: unit?.upstream } },
    draining: [],
  })
})

test('tells both when the old one cannot be started again either, and tries that again', async () => {
  stand(before)
  host.fault = (verb) => {
    if (verb === 'start' || verb === 'resume') throw new Error(`cannot ${verb}`)
  }
  await go({ ...after, volumes })
  await settled()
  expect(failures).toMatchObject([
    { reason: 'cannot start; and what served before cannot be started again: cannot resume' },
  ])
  host.fault = () => {}
  await go({ ...after, volumes })
  await settled()
  expect(running()).toEqual([specOf(before)])
  expect(publisher.table?.servers.wiki?.upstream).toBe(host.generations[0]?.upstream)
})

test.each(['build', 'start', 'observe'] as const)(
  'blames nobody when the host is down at %s, and is done by the next try',
  async (verb) => {
    stand(before)
    const wanted = { ...after, runs: { kind: 'build' as const, input: { ...inputOf(), files: [] } } }
    let looks = 0
    host.fault = (what) => {
      if (what === verb && (verb !== 'observe' || looks++ > 0)) throw new HostDown('no engine')
    }
    await go(wanted)
    await settled()
    expect(ended).toEqual([new HostDown('no engine')])
    expect(failures).toEqual([])
    expect(running()).toContain(specOf(before))
    host.fault = () => {}
    await go(wanted)
    await settled()
    expect(running()).toEqual([specOf(wanted)])
  },
)

test('leaves nothing wrong for the next controller when it is stopped at any verb', async () => {
  const verbs = ['build', 'start', 'observe', 'stop'] as const
  for (const verb of verbs) {
    stand(before)
    const wanted = { ...after, volumes, runs: { kind: 'build' as const, input: { ...inputOf(), files: [] } } }
    const hangs = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    host.fault = (what) => {
      if (what !== verb) return
      reached.resolve()
      return hangs.promise
    }
    const going = go(wanted)
    await reached.promise
    const closed = lanes.close()
    host.fault = () => {}
    hangs.resolve()
    await Promise.all([going, closed])
    lanes = createLanes(
      (_, error) => ended.push(error),
      () => {},
    )
    await go(wanted)
    await settled()
    expect(running()).toEqual([specOf(wanted)])
    expect(publisher.table).toMatchObject({
      servers: {
        wiki: {
          generation: keyOf(wanted),
          upstream: host.generations.find(({ state }) => state === 'running')?.upstream,
        },
      },
      starting: [],
      draining: [],
    })
    expect(failures).toEqual([])
  }
})

test('ends what a newer commit makes pointless, and goes to that', async () => {
  stand(before)
  const newest = make.server('wiki', { env: { URL: 'c' }, start: 1_000, drain: 5_000 })
  proxy.seen = (generation) => (generation === keyOf(after) ? bad('not yet') : good())
  await go({ ...after, start: 60_000 })
  await until('it is probed', () => publisher.table?.starting.length === 1)
  await go(newest)
  await settled()
  expect(running()).toEqual([specOf(newest)])
  expect(failures).toEqual([])
})

test('ends a rollout of what the commit no longer asks for', async () => {
  stand(before)
  proxy.seen = (generation) => (generation === keyOf(after) ? bad('not yet') : { calls: 0, sessions: 0 })
  await go({ ...after, start: 60_000 })
  await until('it is probed', () => publisher.table?.starting.length === 1)
  await go(before)
  await settled()
  await go(before)
  await settled()
  expect(running()).toEqual([specOf(before)])
})

test('tries again, and does not call stalled, what served and does not come back', async () => {
  stand(before)
  host.crash(specOf(before), 1)
  failAt('start', new Error('its port is taken'))
  await go(before)
  await settled()
  expect(failures).toEqual([])
  expect(ended).toEqual([new Error('its port is taken')])
  expect(publisher.table?.servers.wiki?.upstream).toBeUndefined()
  host.fault = () => {}
  await go(before)
  await settled()
  expect(running()).toEqual([specOf(before)])
  expect(publisher.table?.servers.wiki?.upstream).toBe(host.generations[0]?.upstream)
})

test('keeps one of the generations that were stopped', async () => {
  stand(before)
  host.generations = [
    ...host.generations,
    make.running(make.server('wiki', { env: { URL: 'older' } }), { state: 'exited', startedAt: 1 }),
    make.running(make.server('wiki', { env: { URL: 'oldest' } }), { state: 'exited', startedAt: 0 }),
  ]
  await go(after)
  await settled()
  expect(host.generations.map(({ spec, state }) => [spec, state]).sort()).toEqual(
    [
      [specOf(after), 'running'],
      [specOf(before), 'exited'],
    ].sort(),
  )
})
