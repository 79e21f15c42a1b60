import { execFileSync } from 'node:child_process'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type Core, type CoreOptions, imageServer, openCore, permissions } from '../support/core.ts'
import { serveGit } from '../support/git-server.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { until } from '../support/until.ts'

const patience = { timeout: 60_000 }
const grants = { 'manifests/permissions.yaml': permissions({ ann: ['*'] }) }
const built = 'description: a server\nbuild: { context: servers/wiki }\nstart: 5s\ndrain: 1s\n'
const wiki = { 'manifests/servers/wiki.yaml': imageServer('a'), ...grants }

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]()
})

async function begin(way?: CoreOptions['way']): Promise<Core> {
  const core = await openCore(way === undefined ? {} : { way })
  open.push(core)
  return core
}

async function another(): Promise<Repository> {
  const repository = await createRepository()
  open.push(repository)
  return repository
}

/** What runs and who may call it, as far as a commit can change it. */
const world = (core: Core) => ({ table: { ...core.table(), revision: 0 }, did: [...core.host.did] })

async function reason(core: Core): Promise<string> {
  await core.passed()
  const { source } = await core.steward().status('operator')
  return source.ok ? '' : source.reason
}

describe('a branch', () => {
  test('that is deleted changes nothing, and is followed again once it is back', patience, async () => {
    const core = await begin()
    await core.becomes(await core.publish(wiki), 'applied')
    const before = world(core)
    await core.repository.git('push', '--quiet', core.repository.bare, 'HEAD:refs/heads/archive')
    await core.repository.git('--git-dir', core.repository.bare, 'update-ref', '-d', 'refs/heads/main')
    expect(await reason(core)).toContain('has no branch main (there are: archive); push it or set GATEWAY_BRANCH')
    expect(world(core)).toEqual(before)
    await core.becomes(await core.publish({ 'manifests/servers/wiki.yaml': imageServer('b') }), 'applied')
    expect(await reason(core)).toBe('')
  })

  test('that is the only one and deleted is no empty list of servers', patience, async () => {
    const core = await begin()
    await core.becomes(await core.publish(wiki), 'applied')
    const before = world(core)
    await core.repository.git('--git-dir', core.repository.bare, 'update-ref', '-d', 'refs/heads/main')
    expect(await reason(core)).toContain('has no commit yet; push one to main')
    expect(world(core)).toEqual(before)
  })

  test('that is renamed is named, and nothing changes', patience, async () => {
    const core = await begin()
    await core.becomes(await core.publish(wiki), 'applied')
    const before = world(core)
    await core.repository.git('--git-dir', core.repository.bare, 'branch', '-m', 'main', 'mainline')
    expect(await reason(core)).toContain('has no branch main (did you mean mainline?); push it or set GATEWAY_BRANCH')
    expect(world(core)).toEqual(before)
  })

  test('is read where the repository has another default branch, or none', patience, async () => {
    const core = await begin()
    await core.repository.git('--git-dir', core.repository.bare, 'symbolic-ref', 'HEAD', 'refs/heads/gone')
    await core.becomes(await core.publish(wiki), 'applied')
  })

  test('is not confused with a tag, or with a branch that ends alike', patience, async () => {
    const core = await begin()
    const right = await core.publish(wiki)
    await core.becomes(right, 'applied')
    await core.repository.commit({ 'manifests/servers/wiki.yaml': imageServer('b') })
    for (const ref of ['refs/tags/main', 'refs/heads/old/main', 'refs/heads/refs/heads/main'])
      await core.repository.git('push', '--quiet', core.repository.bare, `HEAD:${ref}`)
    expect(await reason(core)).toBe('')
    expect((await core.steward().status('operator')).applied).toBe(right)
  })
})

describe('a repository', () => {
  test('that is empty is waited for', patience, async () => {
    const core = await begin()
    expect(await reason(core)).toContain('has no commit yet; push one to main')
    await core.becomes(await core.publish(wiki), 'applied')
    expect(Object.keys(core.table().servers)).toEqual(['wiki'])
  })

  test(
    'that another with no history in common takes the place of is followed, and what is alike stays',
    patience,
    async () => {
      const core = await begin()
      await core.becomes(await core.publish(wiki), 'applied')
      const before = world(core)
      const other = await another()
      await other.publish({ README: 'another beginning' })
      const commit = await other.publish({
        ...wiki,
        'manifests/gateway.yaml': 'bake: 0s\nprune: { most: 100%, grace: 0s }\n',
      })
      await rm(core.repository.bare, { recursive: true })
      await rename(other.bare, core.repository.bare)
      core.rounds().ask()
      await core.becomes(commit, 'applied')
      expect(world(core)).toEqual(before)
    },
  )

  test('whose hashes become those of SHA-256 is followed, and back', patience, async () => {
    const core = await begin()
    const { bare, work } = core.repository
    await core.becomes(await core.publish(wiki), 'applied')
    const before = world(core)
    const newer = `${work}-sha256`
    execFileSync('git', ['init', '--quiet', '--bare', '--object-format=sha256', '-b', 'main', newer])
    const history = execFileSync('git', ['-C', work, 'fast-export', 'main'])
    execFileSync('git', ['--git-dir', newer, 'fast-import', '--quiet'], { input: history })
    const commit = execFileSync('git', ['--git-dir', newer, 'rev-parse', 'main']).toString().trim()
    await rename(bare, `${bare}-sha1`)
    await rename(newer, bare)
    core.rounds().ask()
    await core.becomes(commit, 'applied')
    expect(commit).toHaveLength(64)
    expect(world(core)).toEqual(before)
    await rename(bare, newer)
    await rename(`${bare}-sha1`, bare)
    await core.becomes(await core.publish({ 'manifests/servers/wiki.yaml': imageServer('b') }), 'applied')
  })

  test('with hashes of SHA-256 is read over HTTP', patience, async () => {
    const core = await begin(async (bare) => {
      await rm(bare, { recursive: true })
      execFileSync('git', ['init', '--quiet', '--bare', '--object-format=sha256', '-b', 'main', bare])
      const server = await serveGit(bare)
      open.push(server)
      return { repo: server.url }
    })
    const { work } = core.repository
    await rm(join(work, '.git'), { recursive: true })
    execFileSync('git', ['init', '--quiet', '--object-format=sha256', '-b', 'main', work])
    await core.becomes(await core.publish(wiki), 'applied')
    await core.becomes(await core.publish({ 'manifests/servers/wiki.yaml': imageServer('b') }), 'applied')
  })

  test('that has no more than its last commit, each time, is followed', patience, async () => {
    const upstream = await another()
    await upstream.publish({ README: 'before' })
    const core = await begin(async (bare) => ({ repo: `${bare}-shallow` }))
    const host = `${core.repository.bare}-shallow`
    for (const letter of ['a', 'b', 'c']) {
      const commit = await upstream.publish({ ...wiki, 'manifests/servers/wiki.yaml': imageServer(letter) })
      execFileSync('git', ['clone', '--quiet', '--bare', '--depth=1', `file://${upstream.bare}`, `${host}.new`])
      await rm(host, { recursive: true, force: true })
      await rename(`${host}.new`, host)
      core.rounds().ask()
      await core.becomes(commit, 'applied')
    }
    expect(await reason(core)).toBe('')
  })
})

describe('a folder that is renamed', () => {
  const folder = (name: string) => ({
    [`servers/${name}/Dockerfile`]: 'FROM scratch\n',
    [`servers/${name}/main.js`]: '1',
  })

  test('with its manifest’s context is built from no more, for its content is alike', patience, async () => {
    const core = await begin()
    await core.becomes(
      await core.publish({ 'manifests/servers/wiki.yaml': built, ...folder('wiki'), ...grants }),
      'applied',
    )
    const before = world(core)
    await core.repository.git('mv', 'servers/wiki', 'servers/outline')
    const manifest = built.replace('servers/wiki', 'servers/outline')
    await core.becomes(await core.publish({ 'manifests/servers/wiki.yaml': manifest }), 'applied')
    expect(world(core)).toEqual(before)
  })

  test('with its manifest is another server: the new one serves, the old one is removed', patience, async () => {
    const core = await begin()
    const others = Object.fromEntries(
      ['b', 'c', 'd'].map((letter) => [`manifests/servers/${letter}.yaml`, imageServer(letter)]),
    )
    const all = {
      'manifests/servers/wiki.yaml': built,
      ...folder('wiki'),
      ...others,
      ...grants,
      'manifests/gateway.yaml': 'bake: 0s\n',
    }
    await core.becomes(await core.publish(all), 'applied')
    await core.repository.git('mv', 'servers/wiki', 'servers/outline')
    await core.repository.git('mv', 'manifests/servers/wiki.yaml', 'manifests/servers/outline.yaml')
    const manifest = built.replace('servers/wiki', 'servers/outline')
    await core.becomes(await core.publish({ 'manifests/servers/outline.yaml': manifest }), 'applied')
    expect(Object.keys(core.table().servers).sort()).toEqual(['b', 'c', 'd', 'outline'])
    await until('the old one is stopped', () =>
      core.host.generations.every(({ server, state }) => server !== 'wiki' || state === 'exited'),
    )
  })

  test('for every server at once removes none until that is approved', patience, async () => {
    const core = await begin()
    const names = ['b', 'c', 'd']
    const all = Object.fromEntries(names.map((letter) => [`manifests/servers/${letter}.yaml`, imageServer(letter)]))
    await core.becomes(await core.publish({ ...all, ...grants, 'manifests/gateway.yaml': 'bake: 0s\n' }), 'applied')
    for (const name of names)
      await core.repository.git('mv', `manifests/servers/${name}.yaml`, `manifests/servers/${name}-2.yaml`)
    const status = await core.becomes(await core.publish({}), 'held')
    expect(status.reason).toContain('b, c, d')
    expect(Object.keys(core.table().servers).sort()).toEqual(['b', 'b-2', 'c', 'c-2', 'd', 'd-2'])
    expect(core.host.did.filter((verb) => /^(stop|remove)/.test(verb))).toEqual([])
  })
})
