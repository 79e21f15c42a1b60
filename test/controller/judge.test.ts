import { describe, expect, test } from 'vitest'
import type { Agent, Desired, Server, Settings } from '../../controller/desired.ts'
import { type Bench, judge } from '../../controller/judge.ts'
import { widenings } from '../../controller/widening.ts'
import * as make from '../support/make.ts'

const five = ['a', 'b', 'c', 'd', 'e'].map((name) => make.server(name))
const settings: Settings = { bake: 0, prune: { most: 0.3, grace: 0 } }
const governed: Settings = { ...settings, governance: { approvals: 1 } }

function desired(
  commit: string,
  more: Partial<Omit<Desired, 'servers'>> & { servers?: readonly Server[] } = {},
): Desired {
  const { servers = five, ...rest } = more
  const named = Object.fromEntries(servers.map((one) => [one.name, one]))
  return { commit, agents: {}, settings, warnings: [], ...rest, servers: named }
}

function bench(base: Desired | undefined, more: Partial<Bench> = {}): Bench {
  return { base, approved: new Set(), trailers: new Set(), consent: { given: true }, ...more }
}

const all = (more: Partial<Agent> = {}) =>
  make.agent(Object.fromEntries(five.map(({ name }) => [name, make.whole])), { every: true, ...more })

describe('removing', () => {
  const base = desired('c1', { agents: { ann: all(), bob: make.agent({ a: make.whole, b: make.whole }) } })
  const head = desired('c2', {
    servers: five.slice(2),
    agents: {
      ann: make.agent(Object.fromEntries(five.slice(2).map(({ name }) => [name, make.whole])), { every: true }),
      bob: make.agent({}),
    },
  })

  test('is free for one server of five', () => {
    const one = desired('c2', { servers: five.slice(1) })
    expect(judge(one, bench(base))).toEqual({ desired: one, held: [] })
  })

  test('(14) of more waits to be approved, and whoever has every server keeps them', () => {
    const { desired: now, held } = judge(head, bench(base))
    expect(held).toMatchObject([{ what: 'removing 2 of 5 servers: a, b', because: expect.stringContaining('30%') }])
    expect(held[0]?.because).toContain(`"gateway approve ${held[0]?.plan}"`)
    expect(held[0]?.because).toContain(`"Gateway-Approve: ${held[0]?.plan}"`)
    expect(Object.keys(now.servers).sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(now.agents.ann?.grants.a).toEqual(make.whole)
    expect(now.agents.bob?.grants).toEqual({})
  })

  test.each(['approved', 'trailers'] as const)('(14) is released by what is %s, and by no other plan', (how) => {
    const { held } = judge(head, bench(base))
    const plan = held[0]?.plan ?? ''
    expect(judge(head, bench(base, { [how]: new Set([plan]) }))).toEqual({ desired: head, held: [] })
    const more = desired('c3', { servers: five.slice(3) })
    expect(judge(more, bench(base, { [how]: new Set([plan]) })).held).toHaveLength(1)
  })

  test('is restrained by what was applied, not by what is judged', () => {
    const loose = { ...head, settings: { ...settings, prune: { most: 1, grace: 0 } } }
    expect(judge(loose, bench(base)).held).toHaveLength(1)
  })

  test('is free where nothing was applied before', () => {
    expect(judge(head, bench(undefined)).held).toEqual([])
  })
})

describe('owners', () => {
  const owned = desired('c1', { agents: { ann: all({ owner: true }), bob: all() } })

  test('(23) a commit that takes the last one away is none', () => {
    expect(judge(desired('c2', { agents: { bob: all() } }), bench(owned)).fault).toBe(
      'manifests/permissions.yaml agents: the last owner would be gone: keep "owner: true" for ann, or give it to another agent',
    )
  })

  test('may change hands, and need not exist where none was named', () => {
    expect(judge(desired('c2', { agents: { bob: all({ owner: true }) } }), bench(owned)).fault).toBeUndefined()
    expect(judge(desired('c2'), bench(desired('c1'))).fault).toBeUndefined()
  })
})

describe('governance', () => {
  const missing = { given: false, because: 'pull request 7 has 0 of 1 approvals' } as const
  const base = desired('c1', {
    settings: governed,
    agents: { ann: make.agent({ a: make.whole, b: make.whole }), bob: make.agent({ a: make.whole }) },
  })
  const secret = make.server('a', { secrets: { KEY: 'WIKI_KEY' }, config: 'with a secret' })

  test.each<[string, Partial<Omit<Desired, 'servers'>> & { servers?: readonly Server[] }, string]>([
    ['a grant', { agents: { ...base.agents, bob: make.agent({ a: make.whole, c: make.whole }) } }, 'bob gains c'],
    ['a new agent', { agents: { ...base.agents, eve: make.agent({}) } }, 'eve is a new agent'],
    [
      'a token',
      { agents: { ...base.agents, bob: make.agent({ a: make.whole }, { hashes: ['a'.repeat(64), 'b'.repeat(64)] }) } },
      'bob gains a token',
    ],
    [
      'an owner',
      { agents: { ...base.agents, bob: make.agent({ a: make.whole }, { owner: true }) } },
      'bob becomes an owner',
    ],
    ['a secret', { servers: [secret, ...five.slice(1)] }, 'a gains the secret WIKI_KEY'],
    ['its own rules', { settings }, 'gateway.yaml changes'],
  ])('holds %s until others consent', (_, more, words) => {
    const head = desired('c2', { settings: governed, agents: base.agents, ...more })
    const { desired: now, held } = judge(head, bench(base, { consent: missing }))
    expect(held).toMatchObject([{ what: words }])
    expect(held[0]?.because).toContain('pull request 7 has 0 of 1 approvals; held until then, or until')
    expect(widenings(now, base)).toEqual([])
    expect(judge(head, bench(base)).desired).toEqual(head)
    expect(judge(head, bench(base, { consent: missing, approved: new Set([held[0]?.plan ?? '']) })).held).toEqual([])
    expect(judge(head, bench(base, { consent: missing, trailers: new Set([held[0]?.plan ?? '']) })).held).toHaveLength(
      1,
    )
  })

  test('takes away at once what a held commit takes away, and changes the rest', () => {
    const other = make.server('b', { config: 'other' })
    const head = desired('c2', {
      settings: governed,
      servers: [five[0], other, ...five.slice(2)].flatMap((one) => one ?? []),
      agents: { ann: make.agent({ a: make.whole, c: make.whole }) },
    })
    const { desired: now } = judge(head, bench(base, { consent: missing }))
    expect(now.agents).toEqual({ ann: make.agent({ a: make.whole }) })
    expect(now.servers.b).toBe(other)
  })

  test('asks for nothing where nothing widens', () => {
    const head = desired('c2', { settings: governed, agents: { ann: make.agent({ a: make.whole }) } })
    expect(judge(head, bench(base, { consent: missing })).held).toEqual([])
  })

  test('approves what was shown, and nothing else that has the same words', () => {
    const token = (letter: string) => ({
      agents: { ...base.agents, bob: make.agent({ a: make.whole }, { hashes: [letter.repeat(64)] }) },
    })
    const shown = judge(desired('c2', { settings: governed, ...token('b') }), bench(base, { consent: missing }))
    const approved = new Set([shown.held[0]?.plan ?? ''])
    const other = judge(
      desired('c3', { settings: governed, ...token('c') }),
      bench(base, { consent: missing, approved }),
    )
    expect(other.held).toMatchObject([{ what: shown.held[0]?.what }])
    const settled = { ...governed, bake: 1 }
    const one = judge(desired('c2', { settings: settled, agents: base.agents }), bench(base, { consent: missing }))
    const plan = new Set([one.held[0]?.plan ?? ''])
    const two = judge(
      desired('c3', { settings, agents: base.agents }),
      bench(base, { consent: missing, approved: plan }),
    )
    expect(two.held).toHaveLength(1)
  })

  test('gives back nothing that an earlier commit took away while another part of it waited', () => {
    const { bob: _, ...left } = base.agents
    const head = desired('c3', { settings: governed, agents: base.agents })
    expect(judge(head, bench(base, { consent: missing })).held).toEqual([])
    const { desired: now, held } = judge(head, bench(base, { consent: missing, left }))
    expect(held).toMatchObject([{ what: 'bob gains a' }])
    expect(Object.keys(now.agents)).toEqual(['ann'])
  })

  test('keeps somebody who is told while the next owner waits', () => {
    const owned = { ...base, agents: { ...base.agents, ann: make.agent({}, { owner: true }) } }
    const agents = { ann: make.agent({}), bob: make.agent({ a: make.whole }, { owner: true }) }
    const { desired: now } = judge(desired('c2', { settings: governed, agents }), bench(owned, { consent: missing }))
    expect(now.agents).toMatchObject({ ann: { owner: true }, bob: { owner: false } })
  })

  test('gives nobody a kept server who no longer has every server', () => {
    const every = { ...base, agents: { ann: all() } }
    const head = desired('c2', {
      settings: governed,
      servers: five.slice(2),
      agents: { ann: make.agent({ c: make.whole }), eve: make.agent({}) },
    })
    const { desired: now, held } = judge(head, bench(every, { consent: missing }))
    expect(held).toHaveLength(2)
    expect(now.agents).toEqual({ ann: make.agent({ c: make.whole }) })
  })
})

test('never lets two servers have one prefix, where one of them should be gone', () => {
  const base = desired('c1')
  const heir = make.server('z', { prefix: five[0]?.prefix ?? '' })
  const { desired: now, held } = judge(desired('c2', { servers: [...five.slice(2), heir] }), bench(base))
  expect(held).toHaveLength(1)
  expect(Object.keys(now.servers)).toEqual(['a', 'b', 'c', 'd', 'e'])
})
