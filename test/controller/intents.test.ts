import { afterEach, expect, test } from 'vitest'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { bad, good } from '../support/memory-proxy.ts'
import { until } from '../support/until.ts'

const grants = 'manifests/permissions.yaml'
const file = (name: string) => `manifests/servers/${name}.yaml`

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

const soon = () => AbortSignal.timeout(10_000)
const phase = async (name: string) => (await core.server(name))?.phase
const reason = async (name: string) => (await core.server(name))?.reason ?? ''
const spec = (name: string) => core.table().servers[name]?.generation.split('@')[1]

function granted(agent: string): string[] {
  return Object.keys(core.table().agents[agent]?.grants ?? {})
}

async function deploy(changes: Parameters<Core['publish']>[0]): Promise<string> {
  const head = await core.publish(changes)
  await core.becomes(head)
  await core.rests()
  return head
}

test('(7) goes back to the generation that is kept, and gives no grant back', async () => {
  core = await openCore()
  const first = await deploy({
    [file('wiki')]: imageServer('1'),
    [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }),
  })
  const before = spec('wiki')
  await deploy({ [file('wiki')]: imageServer('2'), [grants]: permissions({ bob: ['wiki'] }) })
  expect(await core.steward().rollback('wiki', undefined, soon())).toEqual({ commit: first })
  await until('it is back', () => spec('wiki') === before)
  await core.rests()
  expect(core.host.did.filter((verb) => verb.startsWith('build'))).toEqual([])
  expect(await core.server('wiki')).toMatchObject({ phase: 'ready', pinned: true })
  expect(await reason('wiki')).toBe(
    `rolled back to ${first.slice(0, 12)}, until its next change or "gateway resume wiki"`,
  )
  expect(core.table().agents.ann).toBeUndefined()
  expect(granted('bob')).toEqual(['wiki'])
  await core.restart()
  await core.passed()
  await core.rests()
  expect(spec('wiki')).toBe(before)
  await deploy({ 'README.md': 'another commit, of something else' })
  expect(spec('wiki')).toBe(before)
  await deploy({ [file('wiki')]: imageServer('3') })
  expect(spec('wiki')).not.toBe(before)
  expect((await core.server('wiki'))?.pinned).toBeUndefined()
})

test('goes back to any commit that is named, and forward again when resumed', async () => {
  core = await openCore()
  const first = await deploy({ [file('wiki')]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  const oldest = spec('wiki')
  await deploy({ [file('wiki')]: imageServer('2') })
  await deploy({ [file('wiki')]: imageServer('3') })
  const newest = spec('wiki')
  await core.steward().rollback('wiki', first.slice(0, 8), soon())
  await until('it is back', () => spec('wiki') === oldest)
  await core.rests()
  core.steward().resume('wiki')
  await until('it is as the branch says', () => spec('wiki') === newest)
})

test('refuses a rollback that leads nowhere, and says what would', async () => {
  core = await openCore()
  const first = await deploy({ [file('wiki')]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  const back = (server: string, to?: string) => core.steward().rollback(server, to, soon())
  await expect(back('wikki')).rejects.toThrow('no server "wikki" (did you mean "wiki"?)')
  await expect(back('wiki')).rejects.toThrow('no other generation of wiki is kept: name a commit with --to')
  await expect(back('wiki', first)).rejects.toThrow(`wiki is already as ${first.slice(0, 12)} has it`)
  await expect(back('wiki', 'main')).rejects.toThrow('--to main is no commit: 7 to 64 hex digits')
  await expect(back('wiki', 'abcdef012')).rejects.toThrow(
    'no commit of this branch that was seen begins with abcdef012',
  )
  await expect(back('wiki', 'f'.repeat(40))).rejects.toThrow('commit ffffffffffff has no server wiki, or has errors')
})

test('does nothing to a suspended server, and lets it serve', async () => {
  core = await openCore()
  await deploy({ [file('wiki')]: imageServer('1'), [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) })
  const before = spec('wiki')
  core.steward().suspend('wiki')
  await core.becomes(await core.publish({ [file('wiki')]: imageServer('2'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  expect(spec('wiki')).toBe(before)
  expect(core.table().agents.bob).toBeUndefined()
  expect([await phase('wiki'), await reason('wiki')]).toEqual([
    'suspended',
    expect.stringMatching(/^suspended since .*: nothing is done to it until "gateway resume wiki"$/),
  ])
  await core.restart()
  await core.passed()
  expect(await phase('wiki')).toBe('suspended')
  core.steward().resume('wiki')
  await until('it is replaced', () => spec('wiki') !== before)
  expect(() => core.steward().resume('wiki')).toThrow('wiki is neither suspended nor rolled back')
})

test('suspends all, and tries again by hand what is stalled', async () => {
  core = await openCore()
  await deploy({ [file('wiki')]: imageServer('1'), [grants]: permissions({ ann: ['*'] }) })
  core.proxy().seen = () => bad('HTTP 500')
  await core.becomes(await core.publish({ [file('wiki')]: imageServer('2') }), 'degraded')
  core.proxy().seen = good
  core.steward().suspend('*')
  core.steward().retry('wiki')
  await core.passed()
  expect(await phase('wiki')).toBe('suspended')
  core.steward().resume('*')
  await until('it is there', async () => (await phase('wiki')) === 'ready')
})

test('leaves what serves where a rollback fails, and forgets the rollback', async () => {
  core = await openCore()
  const first = await deploy({ [file('wiki')]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  await deploy({ [file('wiki')]: imageServer('2') })
  const newest = spec('wiki')
  core.proxy().seen = () => bad('HTTP 500')
  await core.steward().rollback('wiki', first, soon())
  await until('it is forgotten', async () => {
    await core.passed()
    return core.journal().intents().pins.size === 0 && core.journal().failures().length > 0
  })
  core.proxy().seen = good
  await core.rests()
  expect(spec('wiki')).toBe(newest)
  expect((await core.server('wiki'))?.pinned).toBeUndefined()
  const { facts } = await core.steward().explain('wiki', undefined)
  expect(facts.find(({ what }) => what === 'failed')?.is).toContain(`of commit ${first.slice(0, 12)}, once`)
})
