import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { imageServer, openCore, permissions } from '../support/core.ts'
import { testToken } from '../support/gateway.ts'
import { createKeys } from '../support/signing.ts'
import { until } from '../support/until.ts'

const access = 'manifests/permissions.yaml'
const one = 'manifests/servers/one.yaml'
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-trust-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a controller with signers', () => {
  /** Applies a first commit that `chief`, who may sign everything, has signed. */
  async function start() {
    const keys = await createKeys()
    await keys.allow('default', await keys.line('dev'), await keys.line('chief'))
    await keys.allow('permissions', await keys.line('chief'))
    const core = await openCore({ files: { signers: keys.folder } })
    await keys.sign(core.repository, 'chief')
    const first = await core.publish({ [access]: permissions({ a: ['*'] }), [one]: imageServer('a') })
    await core.becomes(first, 'applied')
    return {
      keys,
      core,
      first,
      [Symbol.asyncDispose]: () => core[Symbol.asyncDispose]().then(() => keys[Symbol.asyncDispose]()),
    }
  }

  test('(9) applies a signed server and holds unsigned permissions, until an operator approves them', async () => {
    await using begun = await start()
    const { keys, core, first } = begun
    await keys.sign(core.repository, undefined)
    await core.repository.commit({ [access]: permissions({ a: ['*'], b: ['*'] }) })
    await keys.sign(core.repository, 'dev')
    const head = await core.publish({ [one]: imageServer('b') })
    const status = await core.becomes(head, 'held')
    expect(status.held?.[0]?.because).toContain(`${access} stays as in ${first.slice(0, 12)}: commit `)
    expect(Object.keys(core.table().agents)).toEqual(['a'])
    expect((await core.server('one'))?.commit).toBe(head)
    core.journal().approve(status.held?.[0]?.plan ?? '')
    core.rounds().ask()
    await core.becomes(head, 'applied')
    expect(Object.keys(core.table().agents).sort()).toEqual(['a', 'b'])
    expect(core.journal().accepted()).toBe(head)
  })

  test('holds it still after a restart, and lets it go once its signer is one', async () => {
    await using begun = await start()
    const { keys, core } = begun
    await keys.sign(core.repository, 'newcomer')
    const head = await core.publish({ [access]: permissions({ a: ['*'], b: ['*'] }) })
    await core.becomes(head, 'held')
    await core.restart()
    await core.passed()
    expect(Object.keys(core.table().agents)).toEqual(['a'])
    await keys.allow('permissions', await keys.line('chief'), await keys.line('newcomer'))
    await core.passed()
    await core.becomes(head, 'applied')
    expect(Object.keys(core.table().agents).sort()).toEqual(['a', 'b'])
  })

  test('(10) holds a branch that went back to an older signed commit, until that is approved', async () => {
    await using begun = await start()
    const { core, first } = begun
    const second = await core.publish({ [one]: imageServer('b') })
    await core.becomes(second, 'applied')
    await core.repository.git('reset', '--quiet', '--hard', first)
    await core.repository.push({ force: true })
    await core.passed()
    const status = await core.becomes(first, 'held')
    expect(status.held?.[0]?.what).toContain(`went back from ${second.slice(0, 12)} to ${first.slice(0, 12)}`)
    expect((await core.server('one'))?.commit).toBe(second)
    core.journal().approve(status.held?.[0]?.plan ?? '')
    core.rounds().ask()
    await core.becomes(first, 'applied')
  })

  test('trusts nothing of a branch that nobody signed, and says what to do', async () => {
    await using keys = await createKeys()
    await using core = await openCore({ files: { signers: await keys.allow('all', await keys.line('chief')) } })
    const head = await core.publish({ [access]: permissions({ a: ['*'] }) })
    const status = await core.becomes(head, 'held')
    expect(status.reason).toContain('sign one, which vouches for all before it: git commit --allow-empty -S')
    await keys.sign(core.repository, 'chief')
    await core.becomes(await core.publish({}), 'applied')
  })
})

describe('agents of the machine', () => {
  const { hash } = testToken()
  const glass = (servers: string, token = hash) =>
    `agents:\n  rescue: { token_hash: "${token}", servers: ${servers} }\n`
  const rescue = 'break-glass/rescue'

  async function start(text = glass('["*"]')) {
    const file = join(folder, 'glass.yaml')
    await writeFile(file, text)
    const core = await openCore({ files: { breakGlass: file } })
    const first = await core.publish({ [access]: permissions({ a: ['*'] }), [one]: imageServer('a') })
    await core.becomes(first, 'applied')
    return { file, core, first }
  }

  test('are let in beside those of the commit, by a name that no commit can give, and are marked', async () => {
    const { core: opened } = await start()
    await using core = opened
    expect(Object.keys(core.table().agents[rescue]?.grants ?? {})).toEqual(['one'])
    const status = await core.steward().status('operator')
    expect(Object.keys(status.access ?? {})).toContain(rescue)
    expect(status.breakGlass).toEqual({ ok: true, reason: 'lets in rescue' })
    const next = await core.publish({ [access]: 'agents: {}\n' })
    await core.becomes(next, 'applied')
    expect(Object.keys(core.table().agents)).toEqual([rescue])
  })

  test('keep a token that a commit gives to an agent of its own', async () => {
    const { core: opened } = await start()
    await using core = opened
    const thief = `agents:\n  thief: { token_hash: "${hash}", servers: [] }\n`
    await core.becomes(await core.publish({ [access]: thief }), 'applied')
    expect(Object.keys(core.table().agents)).toEqual([rescue])
    expect(Object.keys(core.table().agents[rescue]?.grants ?? {})).toEqual(['one'])
  })

  test('are let in while the head is rejected, and while the repository is down after a restart', async () => {
    const { core: opened, file } = await start('agents: {}\n')
    await using core = opened
    await core.becomes(await core.publish({ [access]: 'agents: [\n' }), 'rejected')
    await writeFile(file, glass('["*"]'))
    await core.passed()
    expect(Object.keys(core.table().agents)).toContain(rescue)
    await rename(core.repository.bare, `${core.repository.bare}-gone`)
    await core.restart()
    await writeFile(file, glass('[one]').replace('rescue', 'second'))
    await until('the second is let in', async () => {
      await core.passed()
      return core.table().agents['break-glass/second'] !== undefined
    })
    expect(Object.keys(core.table().agents)).not.toContain(rescue)
  })

  test('stay when their file becomes wrong, also after a restart, and status says what is', async () => {
    const { core: opened, file } = await start()
    await using core = opened
    await writeFile(file, glass('["*"]').replace('servers', 'servrs'))
    await core.passed()
    expect(Object.keys(core.table().agents)).toContain(rescue)
    await core.restart()
    await core.passed()
    expect(Object.keys(core.table().agents)).toContain(rescue)
    const { breakGlass } = await core.steward().status('public')
    expect(breakGlass?.ok).toBe(false)
    expect(breakGlass?.reason).toContain(`${file}:2:`)
    await rm(file)
    await core.passed()
    expect(Object.keys(core.table().agents)).toEqual(['a'])
    expect((await core.steward().status('public')).breakGlass?.reason).toContain('is not there')
  })
})
