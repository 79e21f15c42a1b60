import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Tree } from '../../controller/desired.ts'
import { type PlanQuestion, planFolder } from '../../controller/plan-folder.ts'
import { openCheckout } from '../../controller/source/checkout.ts'
import { imageServer, permissions } from '../support/core.ts'
import { createRepository, type Repository } from '../support/repository.ts'

const wiki = 'manifests/servers/wiki.yaml'
const grants = 'manifests/permissions.yaml'
const inherited = { PATH: process.env.PATH ?? '' }

let repository: Repository
beforeEach(async () => {
  repository = await createRepository()
})
afterEach(() => repository[Symbol.asyncDispose]())

const ask = (more: Partial<PlanQuestion> = {}) =>
  planFolder({ folder: repository.work, branch: 'main', inherited, ...more })

const nothing = '0 to build, 0 to replace, 0 to remove'

test('plans everything of a first commit', async () => {
  await repository.commit({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  expect(await ask({ commit: 'HEAD' })).toEqual({
    ok: true,
    different: true,
    faults: [],
    held: [],
    lines: [
      '+   wiki   new in the commit',
      '~   ann    gains wiki',
      '0 to build, 1 to create, 0 to replace, 0 to remove, 1 grant added',
    ],
  })
})

test('plans what differs from the commit before, and nothing where nothing does', async () => {
  const first = await repository.commit({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  const second = await repository.commit({ [wiki]: imageServer('2') })
  await repository.commit({ 'README.md': 'words' })
  expect(await ask({ commit: second })).toMatchObject({
    different: true,
    base: first,
    lines: [
      expect.stringMatching(/^\+\/- wiki {3}image changed: registry\.example/),
      '0 to build, 1 to replace, 0 to remove',
    ],
  })
  expect(await ask({ commit: 'HEAD' })).toMatchObject({ ok: true, different: false, lines: [nothing], base: second })
  expect(await ask({ commit: 'HEAD', base: first })).toMatchObject({ different: true, base: first })
})

test('plans the files as they are, also those that were not committed', async () => {
  const head = await repository.commit({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  expect(await ask()).toMatchObject({ different: false, base: head })
  await writeFile(join(repository.work, grants), permissions({ ann: [] }))
  expect(await ask()).toMatchObject({
    different: true,
    lines: ['~   ann   loses wiki', `${nothing}, 1 revoked`],
  })
})

test('plans a pull request against the branch that it is for', async () => {
  const main = await repository.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  await repository.git('fetch', '--quiet', repository.bare, 'main:refs/remotes/origin/main')
  await repository.commit({ [wiki]: null, [grants]: permissions({ ann: [] }) })
  expect(await ask()).toMatchObject({
    base: main,
    lines: [
      '~   ann    loses wiki',
      '-   wiki   no longer in the commit',
      '0 to build, 0 to replace, 1 to remove, 1 revoked',
    ],
  })
})

test('takes a base with errors for none', async () => {
  await repository.commit({ [wiki]: 'imagee: x\n' })
  await repository.commit({ [wiki]: imageServer('1'), [grants]: permissions({ ann: [] }) })
  expect((await ask({ commit: 'HEAD' })).lines).toContain('+   wiki   new in the commit')
})

test('plans nothing of a commit with errors, and tells them', async () => {
  await repository.commit({ [wiki]: 'imagee: x\n', [grants]: permissions({ ann: [] }) })
  const { ok, lines, faults } = await ask()
  expect({ ok, lines }).toEqual({ ok: false, lines: [] })
  expect(faults).toContainEqual(expect.objectContaining({ file: wiki, line: 1 }))
})

describe('what restrains a commit', () => {
  const many = Object.fromEntries(
    ['a', 'b', 'c', 'd'].map((name) => [`manifests/servers/${name}.yaml`, imageServer(name)]),
  )
  const gone = { 'manifests/servers/a.yaml': null, 'manifests/servers/b.yaml': null }

  test('holds a removal of too much in a plan, too, until a commit approves it', async () => {
    await repository.commit({
      ...many,
      'manifests/gateway.yaml': 'prune: { most: 25% }\n',
      [grants]: permissions({ ann: ['*'] }),
    })
    await repository.commit(gone)
    const { different, lines, held, later } = await ask({ commit: 'HEAD' })
    expect({ different, lines }).toEqual({ different: true, lines: [nothing] })
    expect(held).toMatchObject([{ what: 'removing 2 of 4 servers: a, b' }])
    expect(later?.at(-1)).toBe('0 to build, 0 to replace, 2 to remove, 2 revoked')
    const trailer = `Gateway-Approve: ${held[0]?.plan}`
    await repository.git('commit', '--quiet', '--allow-empty', '-m', `Approve\n\n${trailer}`)
    const approved = await ask({ commit: 'HEAD', base: 'HEAD~2' })
    expect(approved.held).toEqual([])
    expect(approved.lines.at(-1)).toBe('0 to build, 0 to replace, 2 to remove, 2 revoked')
  })

  test('holds what widens access where others must approve it, and takes away the rest', async () => {
    const first = { [wiki]: imageServer('1'), 'manifests/gateway.yaml': 'governance: { approvals: 1 }\n' }
    await repository.commit({ ...first, [grants]: permissions({ ann: ['wiki'], bob: [] }) })
    await writeFile(join(repository.work, grants), permissions({ ann: [], bob: ['wiki'] }))
    const { lines, held, later } = await ask()
    expect(lines).toEqual(['~   ann   loses wiki', `${nothing}, 1 revoked`])
    expect(held).toMatchObject([
      { what: 'bob gains wiki', because: expect.stringMatching(/^others must approve it on the forge first/) },
    ])
    expect(later?.at(-1)).toBe(`${nothing}, 1 grant added, 1 revoked`)
  })

  test('rejects a commit that takes the last owner away', async () => {
    const owned = permissions({ ann: [] }).replace('servers:', 'owner: true\n    servers:')
    await repository.commit({ [grants]: owned })
    await writeFile(join(repository.work, grants), permissions({ ann: [] }))
    expect(await ask()).toMatchObject({
      ok: false,
      fault: expect.stringContaining('the last owner would be gone: keep "owner: true" for ann'),
    })
  })
})

test('lacks no secret and no folder of a machine that is not asked', async () => {
  const server = imageServer('1', 'secrets: [KEY]\nmounts: ["personal:/data"]\n')
  await repository.commit({ [wiki]: server, [grants]: permissions({ ann: [] }) })
  expect((await ask({ commit: 'HEAD' })).lines).toContain('+   wiki   new in the commit; gets the secret KEY')
})

async function textOf(tree: Tree, path: string): Promise<string> {
  const entry = (await tree.list()).find((one) => one.path === path)
  const bodies: Buffer[] = []
  for await (const body of tree.read([entry?.oid ?? ''])) bodies.push(body)
  return Buffer.concat(bodies).toString()
}

test('opens a commit of the repository that a folder is in, from that folder down', async () => {
  const first = await repository.commit({ 'a/b.txt': 'one', 'c.txt': 'c' })
  await repository.commit({ 'a/b.txt': 'two' })
  const tree = await openCheckout(join(repository.work, 'a'), 'HEAD^', inherited)
  expect(tree.commit).toBe(first)
  expect((await tree.list()).map(({ path }) => path)).toEqual(['b.txt'])
  expect(await textOf(tree, 'b.txt')).toBe('one')
})

test.each(['nowhere', '--upload-pack=x', 'HEAD:a'])('opens no revision %s', async (revision) => {
  await repository.commit({ a: 'a' })
  await expect(openCheckout(repository.work, revision, inherited)).rejects.toThrow()
})
