import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Core, openCore, permissions } from '../support/core.ts'
import { importCommit } from '../support/fast-import.ts'
import { gitLeftovers, gitProcesses, watchMemory } from '../support/git-processes.ts'
import { until } from '../support/until.ts'

const minute = { timeout: 90_000 }
const mebi = 2 ** 20
const manifest = 'description: a server\nbuild: { context: servers/wiki }\nstart: 5s\ndrain: 1s\n'
const start = {
  'manifests/servers/wiki.yaml': manifest,
  'manifests/permissions.yaml': permissions({ ann: ['*'] }),
  'manifests/gateway.yaml': 'bake: 0s\n',
  'servers/wiki/Dockerfile': 'FROM scratch\n',
}

let core: Core
beforeAll(async () => {
  core = await openCore()
  // The repository's own part in it, which a forge has on another machine: little memory, and nothing sent twice.
  for (const setting of [
    ['core.bigFileThreshold', '16m'],
    ['pack.useSparse', 'false'],
  ])
    await core.repository.git('--git-dir', core.repository.bare, 'config', ...setting)
})
afterAll(() => core[Symbol.asyncDispose]())

async function publish(files: Parameters<typeof importCommit>[1]): Promise<string> {
  const commit = await importCommit(core.repository.bare, files)
  core.rounds().ask()
  return commit
}

/** What a container and the table say now. */
const world = () => ({ table: core.table().servers, did: [...core.host.did] })

describe('a file of 1 GiB', () => {
  test('outside of what is built costs no memory', minute, async () => {
    await core.becomes(await publish(start), 'applied')
    const before = world()
    using memory = watchMemory(core.state)
    const large = { 'media/film.bin': { zeros: 2 ** 30 }, 'media/song.bin': { zeros: 100 * mebi } }
    const commit = await publish(large)
    const phase = async () => (await core.steward().commit(commit, 500, AbortSignal.timeout(5_000)))?.phase
    await until('what is so large is applied', async () => (await phase()) === 'applied', 45_000)
    expect(memory.most()).toBeGreaterThan(0)
    expect(memory.most()).toBeLessThan(64 * mebi)
    expect(world()).toEqual(before)
  })

  test('in what is built is refused by its path and the limit, and nothing is touched', minute, async () => {
    const before = world()
    const rss = process.memoryUsage().rss
    using memory = watchMemory(core.state)
    const status = await core.becomes(await publish({ 'servers/wiki/film.bin': { as: 'media/film.bin' } }), 'rejected')
    expect(status.errors).toContain('servers/wiki/film.bin:1:1 1024 MiB to build from: at most 64 MiB a file')
    expect(status.errors).toHaveLength(2)
    expect(memory.most()).toBeLessThan(128 * mebi)
    expect(process.memoryUsage().rss - rss).toBeLessThan(128 * mebi)
    expect(world()).toEqual(before)
  })

  test('is no matter once it is gone, though the history has it', minute, async () => {
    await core.becomes(await publish({ 'servers/wiki/film.bin': null, 'media/film.bin': null, note: '1' }), 'applied')
    expect([...gitProcesses(core.state).values()]).toEqual([])
    expect(gitLeftovers(core.state)).toEqual([])
  })
})

describe('ten thousand files', () => {
  const many = (folder: string, count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`${folder}/${at % 100}/${at}.txt`, `file ${at}`]))

  test('outside of what is built change nothing', minute, async () => {
    const before = world()
    const began = performance.now()
    await core.becomes(await publish(many('docs', 10_000)), 'applied')
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(world()).toEqual(before)
  })

  test('in what is built are built from', minute, async () => {
    await core.becomes(await publish(many('servers/wiki/data', 9_999)), 'applied')
    expect(core.host.did.filter((verb) => verb === 'build wiki')).toHaveLength(2)
  })

  test('and one more are refused by their number and the limit', minute, async () => {
    const before = world()
    const status = await core.becomes(await publish({ 'servers/wiki/more': '' }), 'rejected')
    expect(status.errors).toEqual([
      'manifests/servers/wiki.yaml:2:19 build.context: 10001 files to build from: at most 10000, so name fewer in "paths" or .dockerignore',
    ])
    expect(world()).toEqual(before)
  })
})
