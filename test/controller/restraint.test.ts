import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Consent } from '../../controller/consent.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'

const wiki = 'manifests/servers/wiki.yaml'
const chess = 'manifests/servers/chess.yaml'
const grants = 'manifests/permissions.yaml'
const gateway = 'manifests/gateway.yaml'
const brisk = 'bake: 0s\nprune: { most: 100%, grace: 0s }\n'

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

function granted(): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(core.table().agents).map(([name, agent]) => [name, Object.keys(agent.grants).sort()]),
  )
}

function running(): string[] {
  return core.host.generations.flatMap(({ server, state }) => (state === 'running' ? [server] : [])).sort()
}

async function goBack(to: string): Promise<void> {
  await core.repository.git('reset', '--quiet', '--hard', to)
  await core.repository.push({ force: true })
  core.rounds().ask()
}

describe('a branch that goes back', () => {
  async function twoCommits(signed: boolean) {
    core = await openCore({ signed })
    const old = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
    await core.becomes(old, 'applied')
    const agents = permissions({ ann: ['wiki', 'chess'], bob: ['wiki'] })
    const now = await core.publish({ [wiki]: imageServer('2'), [chess]: imageServer('3'), [grants]: agents })
    await core.becomes(now, 'applied')
    await core.rests()
    return { old, now }
  }

  test('is followed where nobody need sign, and status says that it went back', async () => {
    const { old, now } = await twoCommits(false)
    await goBack(old)
    await expect.poll(running).toEqual(['wiki'])
    const status = await core.becomes(old, 'applied')
    expect(status.warnings).toEqual([`the branch went back: ${now.slice(0, 12)}, applied last, is no longer in it`])
  })

  test('(10) waits where commits must be signed, but for what it takes away, until that is approved', async () => {
    const { old, now } = await twoCommits(true)
    const serving = core.table().servers
    await goBack(old)
    const { held = [] } = await core.becomes(old, 'held')
    const [part] = held
    expect(part?.what).toBe(`the branch went back from ${now.slice(0, 12)} to ${old.slice(0, 12)}`)
    expect(part?.because).not.toContain('trailer')
    await core.restart()
    await core.rests()
    expect(core.table().servers).toEqual(serving)
    expect(running()).toEqual(['chess', 'wiki'])
    expect(granted()).toEqual({ ann: ['wiki'] })
    core.steward().approve(part?.plan ?? '')
    const status = await core.becomes(old, 'applied')
    expect(status.approved).toEqual([expect.stringContaining(`${part?.plan} the branch went back`)])
    await core.rests()
    expect(running()).toEqual(['wiki'])
    expect(core.journal().approvals()).toEqual([])
  })

  test('(10) waits again the next time', async () => {
    const { old, now } = await twoCommits(true)
    await goBack(old)
    const [part] = (await core.becomes(old, 'held')).held ?? []
    core.steward().approve(part?.plan ?? '')
    await core.becomes(old, 'applied')
    await goBack(now)
    // Its record says applied from the first time.
    await expect.poll(() => core.journal().accepted()).toBe(now)
    await goBack(old)
    await core.becomes(old, 'held')
  })
})

describe('governance', () => {
  const governed = `${brisk}governance: { approvals: 1 }\n`
  let consent: Consent

  async function governedCore() {
    consent = { given: false, because: 'the forge was not asked yet' }
    core = await openCore({ consent: () => consent })
    const files = { [wiki]: imageServer('1'), [chess]: imageServer('3'), [gateway]: governed }
    await core.becomes(await core.publish({ ...files, [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) }))
  }

  test('holds what a commit adds until others approve it, and takes away at once what it takes away', async () => {
    await governedCore()
    const agents = permissions({ ann: ['wiki', 'chess'] })
    const head = await core.publish({ [wiki]: imageServer('2'), [gateway]: brisk, [grants]: agents })
    const status = await core.becomes(head, 'held')
    expect(status.held).toMatchObject([{ what: 'ann gains chess; gateway.yaml changes' }])
    expect(status.reason).toContain('the forge was not asked yet')
    await core.rests()
    expect(granted()).toEqual({ ann: ['wiki'] })
    expect(core.table().servers.wiki?.generation).toMatch(/^wiki@/)
    expect(core.host.did.filter((one) => one === 'start wiki')).toHaveLength(2)
    consent = { given: false, because: 'pull request 7 has 0 of 1 approvals' }
    core.rounds().ask()
    await expect
      .poll(async () => (await core.steward().commit(head, 0, AbortSignal.timeout(1_000)))?.reason, { timeout: 20_000 })
      .toContain('pull request 7 has 0 of 1 approvals')
    consent = { given: true }
    core.rounds().ask()
    await core.becomes(head, 'applied')
    expect(granted()).toEqual({ ann: ['chess', 'wiki'] })
    await core.becomes(await core.publish({ [grants]: permissions({ ann: ['wiki'], eve: ['wiki'] }) }), 'applied')
    expect(granted()).toEqual({ ann: ['wiki'], eve: ['wiki'] })
  })

  test('is not got around by going back to what was approved once', async () => {
    await governedCore()
    const old = await core.repository.git('rev-parse', 'HEAD')
    await core.becomes(await core.publish({ [grants]: permissions({ ann: ['wiki'] }) }), 'applied')
    consent = { given: true }
    await goBack(old)
    const { held } = await core.becomes(old, 'held')
    expect(held).toMatchObject([{ what: 'bob gains wiki' }])
    expect(granted()).toEqual({ ann: ['wiki'] })
  })

  test('says what it lacks where there is no forge', async () => {
    core = await openCore()
    await core.becomes(
      await core.publish({ [wiki]: imageServer('1'), [gateway]: governed, [grants]: permissions({ ann: [] }) }),
    )
    const status = await core.becomes(await core.publish({ [grants]: permissions({ ann: ['wiki'] }) }), 'held')
    expect(status.reason).toContain('set GATEWAY_FORGE_URL and GATEWAY_FORGE_TOKEN')
  })
})

describe('what was applied last', () => {
  test('gives nothing back after a restart that a later commit with errors has taken away', async () => {
    core = await openCore()
    const both = permissions({ ann: ['wiki'], bob: ['wiki'] })
    await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: both }), 'applied')
    await core.becomes(await core.publish({ [chess]: 'x: 1\n', [grants]: permissions({ ann: ['wiki'] }) }), 'rejected')
    await core.becomes(await core.publish({ [grants]: 'agents: {}\nagents: {}\n' }), 'rejected')
    expect(granted()).toEqual({ ann: ['wiki'] })
    await core.restart()
    await core.rests()
    expect(granted()).toEqual({ ann: ['wiki'] })
    expect(running()).toEqual(['wiki'])
  })

  test('goes on after a restart with the part of a commit that was not held, when the next has errors', async () => {
    core = await openCore()
    const servers = Object.fromEntries(
      ['a', 'b', 'c', 'd'].map((name) => [`manifests/servers/${name}.yaml`, imageServer(name)]),
    )
    const files = { ...servers, [gateway]: 'bake: 0s\nprune: { grace: 0s }\n' }
    await core.becomes(await core.publish({ ...files, [grants]: permissions({ ann: ['*'], bob: ['*'] }) }), 'applied')
    const two = { 'manifests/servers/a.yaml': null, 'manifests/servers/b.yaml': null }
    await core.becomes(
      await core.publish({ ...two, [wiki]: imageServer('2'), [grants]: permissions({ ann: ['*'] }) }),
      'held',
    )
    await core.becomes(await core.publish({ [grants]: 'agents: {}\nagents: {}\n' }), 'rejected')
    await core.restart()
    await core.rests()
    expect(running()).toEqual(['a', 'b', 'c', 'd', 'wiki'])
    expect(granted()).toEqual({ ann: ['a', 'b', 'c', 'd', 'wiki'] })
  })

  test('restrains nothing once the repository has lost it, and status says so', async () => {
    core = await openCore()
    const files = { [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }
    const old = await core.publish(files)
    await core.becomes(old, 'applied')
    await core.end()
    await core.repository.git('checkout', '--quiet', '--orphan', 'other')
    await core.repository.commit({ [chess]: imageServer('3'), 'README.md': 'anew' })
    await core.repository.push({ force: true })
    await rm(join(core.state, 'mirror.git'), { recursive: true })
    await core.restart()
    const head = await core.repository.git('rev-parse', 'HEAD')
    const status = await core.becomes(head, 'applied')
    expect(status.warnings).toEqual([
      `nothing restrains this commit: ${old.slice(0, 12)}, applied last, is no longer in the repository`,
    ])
  })
})
