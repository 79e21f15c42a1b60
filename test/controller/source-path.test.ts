import { execFileSync } from 'node:child_process'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'

const patience = { timeout: 60_000 }
const wiki = {
  'manifests/servers/wiki.yaml': imageServer('a'),
  'manifests/permissions.yaml': permissions({ ann: ['*'] }),
}

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

const begin = async (way: (bare: string) => string) => {
  core = await openCore({ way: async (bare) => ({ repo: way(bare) }) })
}

/** What runs and who may call it, as far as a commit can change it. */
const world = () => ({ table: { ...core.table(), revision: 0 }, did: [...core.host.did] })

async function reason(): Promise<string> {
  await core.passed()
  const { source } = await core.steward().status('operator')
  return source.ok ? '' : source.reason
}

describe('GATEWAY_REPO', () => {
  const letters = ['a', 'b', 'c']

  test('may be a folder with a work tree, and is followed as somebody commits there', patience, async () => {
    await begin((bare) => join(bare, '../work'))
    for (const letter of letters) {
      const commit = await core.repository.commit({ ...wiki, 'manifests/servers/wiki.yaml': imageServer(letter) })
      core.rounds().ask()
      await core.becomes(commit, 'applied')
    }
    const before = world()
    await writeFile(join(core.repository.work, 'manifests/servers/wiki.yaml'), 'not committed')
    expect(await reason()).toBe('')
    expect(world()).toEqual(before)
  })

  test('may be a bare folder, is waited for while it is away, and followed where it is another', patience, async () => {
    await begin((bare) => bare)
    const { bare } = core.repository
    await core.becomes(await core.publish(wiki), 'applied')
    const before = world()
    await rename(bare, `${bare}-away`)
    expect(await reason()).toContain('there is no git repository at this path; check GATEWAY_REPO')
    expect(world()).toEqual(before)
    execFileSync('git', ['init', '--quiet', '--bare', '-b', 'main', bare])
    expect(await reason()).toContain('has no commit yet; push one to main')
    expect(world()).toEqual(before)
    await rm(bare, { recursive: true })
    await rename(`${bare}-away`, bare)
    await core.becomes(await core.publish({ 'manifests/servers/wiki.yaml': imageServer('b') }), 'applied')
  })

  test('may be a bundle, and is followed as another takes its place, whole or not', patience, async () => {
    await begin((bare) => `${bare}.bundle`)
    const bundle = `${core.repository.bare}.bundle`
    const write = () => core.repository.git('bundle', 'create', '--quiet', bundle, 'main')
    for (const letter of letters) {
      const commit = await core.repository.commit({ ...wiki, 'manifests/servers/wiki.yaml': imageServer(letter) })
      await write()
      core.rounds().ask()
      await core.becomes(commit, 'applied')
    }
    const before = world()
    const commit = await core.repository.commit({ 'manifests/servers/wiki.yaml': imageServer('d') })
    await write()
    const whole = await readFile(bundle)
    for (const size of [0, 10, 60, 120, whole.length - 100, whole.length - 5]) {
      await writeFile(bundle, whole.subarray(0, size))
      expect(await reason(), `${size} of ${whole.length}`).toMatch(/bundle|no git repository/)
      expect(world()).toEqual(before)
    }
    await writeFile(bundle, whole)
    core.rounds().ask()
    await core.becomes(commit, 'applied')
  })
})
