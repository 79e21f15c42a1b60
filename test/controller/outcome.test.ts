import { expect, test } from 'vitest'
import type { CommitPhase } from '#manifests/status.ts'
import { isFinal, outcome, type Standing, serverStanding } from '../../controller/outcome.ts'
import * as make from '../support/make.ts'

const wiki = make.server('wiki')
const old = make.server('wiki', { env: { URL: 'old' } })
const chess = make.server('chess')
const held = make.server('held', { secrets: { KEY: 'KEY' } })
const { spec } = make.runTarget(wiki).generation
const granted = { bob: make.agent({ wiki: make.whole }) }
const failure = make.failure({ server: 'wiki', spec, reason: 'the build failed' })

function standing(more: Partial<Standing> = {}): Standing {
  return {
    aim: make.aim([wiki]),
    table: make.table([wiki]),
    absent: new Set(),
    runs: new Map(),
    failures: new Map(),
    troubles: new Map(),
    behind: [],
    liveProxies: 1,
    ...more,
  }
}

const doing = (words: string, awaited = true) => new Map([['wiki', { identity: '', doing: words, awaited }]])

test.each<[string, Partial<Standing>, string]>([
  ['serves what the commit asks for', {}, 'ready: serves what the commit asks for'],
  ['is still at work on what served before', { runs: doing('draining', false) }, 'ready: draining'],
  [
    'serves, and may yet be taken back',
    { runs: doing('bakes until 10:00:00 UTC') },
    'deploying: bakes until 10:00:00 UTC',
  ],
  ['serves, and no longer runs', { absent: new Set([`wiki@${spec}`]) }, 'deploying: queued'],
  ['has yet to be replaced', { table: make.table([old]) }, 'deploying: queued'],
  ['is being replaced', { table: make.table([old]), runs: doing('building') }, 'deploying: building'],
  [
    'failed for this commit',
    { table: make.table([old]), failures: new Map([['wiki', failure]]) },
    'stalled: the build failed',
  ],
  [
    'failed for another commit',
    { table: make.table([old]), failures: new Map([['wiki', { ...failure, commit: 'c0' }]]) },
    'deploying: queued',
  ],
  [
    'failed as another generation',
    { table: make.table([old]), failures: new Map([['wiki', { ...failure, spec: 'f' }]]) },
    'deploying: queued',
  ],
  [
    'met the host down',
    { table: make.table([old]), troubles: new Map([['wiki', 'no engine']]) },
    'deploying: tried again: no engine',
  ],
])('says how a server stands that %s', (_, more, words) => {
  const { phase, reason } = serverStanding(make.runTarget(wiki), standing(more))
  expect(`${phase}: ${reason}`).toBe(words)
})

test('says what a held server waits for, whatever serves', () => {
  const aim = make.aim([held])
  expect(serverStanding(aim.targets.held!, standing({ aim }))).toEqual({
    phase: 'waiting',
    reason: 'KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)',
  })
})

test.each<[string, Partial<Standing>, string]>([
  ['everything is as it says', {}, 'applied: everything is as the commit says'],
  ['there is nothing in it', { aim: make.aim([]), table: make.table([]) }, 'applied: everything is as the commit says'],
  ['a server is being deployed', { table: make.table([old]) }, 'applying: deploying wiki'],
  ['no proxy runs', { liveProxies: 0 }, 'applying: no proxy runs yet'],
  [
    'no proxy can be started',
    { liveProxies: 0, troubles: new Map([['gateway', 'the port is taken']]) },
    'applying: no proxy runs: the port is taken',
  ],
  ['a proxy lags behind', { behind: ['p1'] }, 'applying: p1 has yet to take revision 7'],
  ['the table lacks a grant', { aim: make.aim([wiki], granted) }, 'applying: grants are being published'],
  [
    'the table has the grant',
    { aim: make.aim([wiki], granted), table: make.table([wiki], granted) },
    'applied: everything is as the commit says',
  ],
  ['a server is held', { aim: make.aim([wiki, held]) }, 'degraded: held is not as the commit says'],
  [
    'one is stalled and one is held',
    { aim: make.aim([wiki, held]), table: make.table([old]), failures: new Map([['wiki', failure]]) },
    'degraded: wiki, held are not as the commit says',
  ],
  [
    'one is stalled and another is being deployed',
    { aim: make.aim([chess, wiki]), table: make.table([old]), failures: new Map([['wiki', failure]]) },
    'applying: deploying chess',
  ],
])('says how far a commit is when %s', (_, more, words) => {
  const { phase, reason } = outcome(standing(more))
  expect(`${phase}: ${reason}`).toBe(words)
})

test('names the servers that are not as the commit says, and no others', () => {
  expect(outcome(standing({ aim: make.aim([wiki, held]) })).servers).toEqual({
    held: { phase: 'waiting', reason: 'KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)' },
  })
})

test('is applied but for what was rolled back, whose grants are waited for as any', () => {
  const aim = { ...make.aim([wiki], granted), pinned: new Map([['wiki', 'rolled back to c0ffee']]) }
  expect(outcome(standing({ aim })).reason).toBe('grants are being published')
  expect(outcome(standing({ aim, table: make.table([wiki], granted) }))).toEqual({
    phase: 'applied',
    reason: 'all but wiki, rolled back on the machine, is as the commit says',
    servers: { wiki: { phase: 'ready', reason: 'rolled back to c0ffee' } },
  })
})

test('waits for no grant of a server that cannot be ready', () => {
  const agents = { bob: make.agent({ wiki: make.whole, held: make.whole }) }
  const now = standing({ aim: make.aim([wiki, held], agents), table: make.table([wiki], granted) })
  expect(outcome(now).phase).toBe('degraded')
})

test('knows which phases are final', () => {
  const phases: readonly CommitPhase[] = [
    'seen',
    'verified',
    'planned',
    'applying',
    'applied',
    'degraded',
    'rejected',
    'held',
    'superseded',
  ]
  expect(phases.filter(isFinal)).toEqual(['applied', 'degraded', 'rejected', 'held', 'superseded'])
})
