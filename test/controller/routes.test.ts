import { expect, test } from 'vitest'
import type { Server } from '../../controller/desired.ts'
import { targetKey } from '../../controller/generation.ts'
import {
  adopt,
  type Draft,
  followUpstreams,
  forgetGeneration,
  restrain,
  settle,
  tidy,
  withoutUpstream,
  withServing,
  withStarting,
  withUpstream,
} from '../../controller/routes.ts'
import * as make from '../support/make.ts'

const old = make.server('wiki', { env: { URL: 'a' } })
const wiki = make.server('wiki', { env: { URL: 'b' } })
const chess = make.server('chess')
const elsewhere = make.server('wiki', {
  runs: { kind: 'url', url: 'http://wiki.example:3000/mcp?a=1' },
  path: '/mcp?a=1',
})
const bob = { bob: make.agent({ wiki: make.whole }) }
const both = { bob: make.agent({ wiki: make.whole, chess: make.whole }) }

/** Generations by the names that this file gives them. */
const names = new Map(
  Object.entries({ old, wiki, chess }).map(([name, one]) => [targetKey(make.runTarget(one)) ?? '', name] as const),
)

/** A table as a picture: what serves, starts and drains, with addresses where they are not the usual ones, and who may use what. */
function picture({ servers, starting, draining, agents }: Draft): string {
  const name = (generation: string) => names.get(generation) ?? generation.replace(/@.*/, '@elsewhere')
  const at = (upstream: string | undefined) =>
    upstream === undefined ? ' waits' : /\/\/gateway-/.test(upstream) ? '' : ` at ${upstream}`
  const standby = (what: string) => (one: Draft['starting'][number]) =>
    `${what} ${name(one.generation)}${at(one.upstream)}`
  return [
    ...Object.entries(servers).map(([server, one]) => `${server}: ${name(one.generation)}${at(one.upstream)}`),
    ...starting.map(standby('starts')),
    ...draining.map(standby('drains')),
    ...Object.entries(agents).map(
      ([agent, { grants }]) => `${agent} may ${Object.keys(grants).join(' ') || 'nothing'}`,
    ),
  ].join('\n')
}

const draft = (serving: readonly Server[], agents = {}): Draft => make.table(serving, agents)

test('leaves what the commit asks for, and gives what is ready', () => {
  expect(picture(settle(draft([wiki]), make.aim([wiki], both)))).toBe('wiki: wiki\nbob may wiki')
})

test('keeps the old generation serving, and its grants, until the new one is ready', () => {
  expect(picture(settle(draft([old], bob), make.aim([wiki, chess], both)))).toBe('wiki: old\nbob may wiki')
})

test('takes a new route for a generation that stays', () => {
  const renamed = { ...wiki, prefix: 'w', timeout: 1, health: '/health', description: 'other', path: '/other' }
  const { servers } = settle(draft([wiki]), make.aim([renamed]))
  expect(servers.wiki).toMatchObject({
    prefix: 'w',
    timeout: 1,
    health: '/health',
    description: 'other',
    path: '/other',
  })
  expect(servers.wiki?.upstream).toBe(draft([wiki]).servers.wiki?.upstream)
})

test('drops and drains what the commit no longer names', () => {
  expect(
    picture(settle(draft([wiki, chess], both), make.aim([chess], { bob: make.agent({ chess: make.whole }) }))),
  ).toBe('chess: chess\ndrains wiki\nbob may chess')
})

test('routes to what runs elsewhere at once, with its path, and drains what ran here', () => {
  const settled = settle(draft([old], bob), make.aim([elsewhere], bob))
  expect(picture(settled)).toBe('wiki: wiki@elsewhere at http://wiki.example:3000\ndrains old\nbob may wiki')
  expect(settled.servers.wiki?.path).toBe('/mcp?a=1')
})

test('keeps what serves while its server is held, and gives nobody new', () => {
  const held = make.server('wiki', { secrets: { KEY: 'KEY' } })
  const more = { ...bob, eve: make.agent({ wiki: make.whole }) }
  expect(picture(settle(draft([old], bob), make.aim([held], more)))).toBe('wiki: old\nbob may wiki\neve may nothing')
})

test('changes nothing the second time', () => {
  const aim = make.aim([wiki, chess], both)
  const once = settle(draft([old], bob), aim)
  expect(settle(once, aim)).toEqual(once)
})

test('takes away only, when the commit has errors', () => {
  const restrained = restrain(draft([wiki, chess], both), {
    bob: make.agent({ chess: make.whole }),
    eve: make.agent({}),
  })
  expect(picture(restrained)).toBe('wiki: wiki\nchess: chess\nbob may chess')
})

test('adopts the oldest of what runs, and nothing that does not', () => {
  const sight = make.sight([
    make.running(wiki, { startedAt: 9 }),
    make.running(old, { startedAt: 5 }),
    make.running(chess, { state: 'exited' }),
  ])
  expect(picture(adopt(draft([]), make.aim([wiki, chess, make.server('ours')]), sight))).toBe('wiki: old')
})

test('adopts nothing beside what the table has', () => {
  expect(picture(adopt(draft([wiki]), make.aim([wiki]), make.sight([make.running(old)])))).toBe('wiki: wiki')
})

test('has a new generation probed, once, while the old one serves', () => {
  const target = make.runTarget(wiki)
  const twice = withStarting(withStarting(draft([old]), target, 'http://a:1'), target, 'http://b:2')
  expect(picture(twice)).toBe('wiki: old\nstarts wiki at http://b:2')
})

test('cuts over: the new one serves, the old one drains', () => {
  const target = make.runTarget(wiki)
  expect(picture(withServing(withStarting(draft([old]), target, 'http://b:2'), target, 'http://b:2'))).toBe(
    'wiki: wiki at http://b:2\ndrains old',
  )
})

test('cuts over to what serves already without draining it', () => {
  expect(picture(withServing(draft([wiki]), make.runTarget(wiki), 'http://b:2'))).toBe('wiki: wiki at http://b:2')
})

test('cuts back to a generation that was draining', () => {
  const target = make.runTarget(old)
  const forth = withServing(draft([old]), make.runTarget(wiki), 'http://gateway-wiki')
  expect(picture(withServing(forth, target, 'http://gateway-old'))).toBe('wiki: old\ndrains wiki')
})

test('lets calls wait while a generation makes way, and reach it when it is back', () => {
  const waiting = withoutUpstream(draft([old]), 'wiki')
  expect(picture(waiting)).toBe('wiki: old waits\ndrains old')
  expect(picture(withUpstream(waiting, 'wiki', 'http://gateway-old'))).toBe('wiki: old')
  expect(withoutUpstream(waiting, 'wiki')).toEqual(waiting)
  expect(withoutUpstream(waiting, 'nobody')).toEqual(waiting)
  expect(withUpstream(waiting, 'nobody', 'http://a:1')).toEqual(waiting)
})

test('probes what comes back after it made way, which a draining one is not', () => {
  const waiting = withoutUpstream(draft([old]), 'wiki')
  expect(picture(withStarting(waiting, make.runTarget(old), 'http://gateway-old'))).toBe('wiki: old waits\nstarts old')
})

test('forgets a generation that failed or has ended', () => {
  const target = make.runTarget(wiki)
  const key = targetKey(target) ?? ''
  expect(picture(forgetGeneration(withStarting(draft([old]), target, 'http://b:2'), key))).toBe('wiki: old')
  const cut = withServing(draft([old]), target, 'http://gateway-wiki')
  expect(picture(forgetGeneration(cut, targetKey(make.runTarget(old)) ?? ''))).toBe('wiki: wiki')
})

test('tidies what starts without a rollout, and what drains and has ended', () => {
  const both = withStarting(withoutUpstream(draft([old]), 'wiki'), make.runTarget(wiki), 'http://gateway-wiki')
  const [gone, there] = [make.sight([make.running(old, { state: 'exited' })]), make.sight([make.running(old)])]
  expect(picture(tidy(both, gone, () => false))).toBe('wiki: old waits')
  expect(picture(tidy(both, there, (server) => server === 'wiki'))).toBe('wiki: old waits\nstarts wiki\ndrains old')
})

test('follows what was given another address, and wakes nothing that waits', () => {
  const moved = make.sight([make.running(old, { upstream: 'http://127.0.0.1:9' })])
  expect(picture(followUpstreams(draft([old, chess]), moved))).toBe('wiki: old at http://127.0.0.1:9\nchess: chess')
  expect(picture(followUpstreams(withoutUpstream(draft([old]), 'wiki'), moved))).toBe(
    'wiki: old waits\ndrains old at http://127.0.0.1:9',
  )
})
