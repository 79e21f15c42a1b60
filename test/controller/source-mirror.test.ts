import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openSource, type Source, SourceDown } from '../../controller/source/source.ts'
import { gitLeftovers, gitProcesses } from '../support/git-processes.ts'
import { suite } from '../support/machine.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { contents } from '../support/tree.ts'

const limit = () => AbortSignal.timeout(20_000)
let repository: Repository
let state: string

beforeEach(async () => {
  repository = await createRepository()
  state = await mkdtemp(join(tmpdir(), 'gateway-mirror-'))
})

afterEach(async () => {
  await repository[Symbol.asyncDispose]()
  await rm(state, { recursive: true, force: true })
})

const open = (): Promise<Source> => openSource({ repo: repository.bare, branch: 'main', path: '', state })

const mirror = (...path: readonly string[]) => join(state, 'mirror.git', ...path)
const git = (...args: readonly string[]) =>
  execFileSync('git', ['--git-dir', mirror(), ...args])
    .toString()
    .trim()

/** Objects that lie on their own, and those in packs. */
function objects(folder: RegExp): readonly string[] {
  return readdirSync(mirror('objects'), { recursive: true, encoding: 'utf8' })
    .filter((file) => folder.test(file))
    .map((file) => mirror('objects', file))
    .filter((file) => statSync(file).isFile())
}

/** Takes all objects out of their packs first. */
async function loosely(object: string, act: (file: string) => Promise<void>): Promise<void> {
  const oid = git('rev-parse', object)
  for (const pack of objects(/^pack\/.*\.pack$/)) {
    await rename(pack, join(state, 'pack'))
    execFileSync('git', ['--git-dir', mirror(), 'unpack-objects', '-q'], { input: readFileSync(join(state, 'pack')) })
  }
  await act(mirror('objects', oid.slice(0, 2), oid.slice(2)))
}

/** Packs all objects first. */
async function packed(act: (pack: string) => Promise<void>): Promise<void> {
  git('gc', '--quiet', '--prune=now')
  for (const file of objects(/^pack\/.*\.pack$/)) await act(file)
}

const spoil = async (file: string) => {
  await chmod(file, 0o644)
  await writeFile(file, 'nonsense')
}
const halve = async (file: string) => {
  await chmod(file, 0o644)
  await truncate(file, Math.floor(statSync(file).size / 2))
}
const empty = (file: string) => chmod(file, 0o644).then(() => truncate(file, 0))

const damages: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['a pack that is cut off', () => packed(halve)],
  ['an empty pack', () => packed(empty)],
  ['a pack without its index', () => packed((pack) => rm(pack.replace(/pack$/, 'idx')))],
  ['an index without its pack', () => packed((pack) => rm(pack))],
  ['a missing commit', () => loosely('refs/gateway/head', rm)],
  ['a missing tree', () => loosely('refs/gateway/head^{tree}', rm)],
  ['a missing file', () => loosely('refs/gateway/head:a', rm)],
  ['an empty commit, as a loss of power leaves it', () => loosely('refs/gateway/head', empty)],
  ['an empty file, as a loss of power leaves it', () => loosely('refs/gateway/head:a', empty)],
  ['no objects', () => rm(mirror('objects'), { recursive: true })],
  ['no branch', () => rm(mirror('refs/gateway/head'))],
  ['an empty branch', () => empty(mirror('refs/gateway/head'))],
  ['a branch that is nonsense', () => spoil(mirror('refs/gateway/head'))],
  ['a branch at a commit that is not there', () => writeFile(mirror('refs/gateway/head'), `${'1'.repeat(40)}\n`)],
  [
    'a folder in the branch’s place',
    () => rm(mirror('refs/gateway/head')).then(() => mkdir(mirror('refs/gateway/head/x'), { recursive: true })),
  ],
  ['packed refs that are nonsense', () => writeFile(mirror('packed-refs'), 'nonsense')],
  ['no HEAD', () => rm(mirror('HEAD'))],
  ['an empty HEAD', () => empty(mirror('HEAD'))],
  ['an empty config', () => empty(mirror('config'))],
  ['a config that is nonsense', () => spoil(mirror('config'))],
  ['a reflog that is nonsense', () => spoil(mirror('logs/refs/gateway/head'))],
  ['shallow commits that are nonsense', () => writeFile(mirror('shallow'), 'nonsense\n')],
  ['a file in its place', () => rm(mirror(), { recursive: true }).then(() => writeFile(mirror(), ''))],
  ['an empty folder in its place', () => rm(mirror(), { recursive: true }).then(() => mkdir(mirror()))],
  ['half of a new one beside it', () => mkdir(join(state, 'mirror.git.new/refs'), { recursive: true })],
  ['a file beside it', () => writeFile(join(state, 'mirror.git.new'), '')],
  ...[
    'refs/gateway/head.lock',
    'packed-refs.lock',
    'shallow.lock',
    'HEAD.lock',
    'config.lock',
    'index.lock',
    'gc.pid.lock',
  ].map((lock) => [`${lock}, which a killed git left`, () => writeFile(mirror(lock), '')] as const),
  ['half a pack, which a killed git left', () => writeFile(mirror('objects/pack/tmp_pack_abcdef'), 'PACK')],
]

test.for(damages)('a mirror with %s troubles neither the next start nor the next commit', async ([, damage]) => {
  await repository.publish({ a: '1', b: 'b' })
  await (await open()).fetch(limit())
  await damage()
  const source = await open()
  // A file that is found damaged while it is read has the mirror made anew by the next pass.
  const read = () => source.fetch(limit()).then(contents)
  expect(await read().catch(read)).toEqual({ a: '1', b: 'b' })
  await damage()
  await repository.publish({ a: '2' })
  expect(await read().catch(read)).toEqual({ a: '2', b: 'b' })
  await repository.publish({ a: '3' })
  expect(await read()).toEqual({ a: '3', b: 'b' })
  expect(gitLeftovers(state)).toEqual([])
  await expect.poll(() => [...gitProcesses(state)]).toEqual([])
})

suite('a disk', ['tmpfs'], () => {
  const mount = (...options: readonly string[]) => execFileSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', state])
  const large = () => ({ large: randomBytes(3 * 2 ** 20).toString('latin1') })
  const complaint = (source: Source) =>
    source.fetch(limit()).then(
      () => '',
      (error: unknown) => (error instanceof SourceDown ? error.message : `not foreseen: ${error}`),
    )
  // A git that found no room may still be ending.
  afterEach(() => vi.waitFor(() => execFileSync('umount', [state]), { timeout: 10_000 }))

  test('that is full is one line, costs nothing that there is, and is no matter once it has room', async () => {
    mount('-o', 'size=2m')
    await repository.publish(large())
    const source = await open()
    const full = `${repository.bare}: no space left on the disk that holds ${state}; free some`
    expect(await complaint(source)).toBe(full)
    expect([gitLeftovers(state), await complaint(source)]).toEqual([[], full])
    mount('-o', 'remount,size=8m')
    const first = await source.fetch(limit())
    await repository.publish({ ...large(), other: randomBytes(3 * 2 ** 20) })
    expect(await complaint(source)).toBe(full)
    expect(gitLeftovers(state)).toEqual([])
    expect(Object.keys(await contents(await source.tree(first.commit)))).toEqual(['large'])
    mount('-o', 'remount,size=64m')
    expect((await (await source.fetch(limit())).list()).map(({ path }) => path)).toEqual(['large', 'other'])
  })

  test('that is full to the last byte is one line', async () => {
    mount('-o', 'size=1m')
    await repository.publish({ a: '1' })
    await writeFile(join(state, 'ballast'), '')
    const ballast = execFileSync('sh', ['-c', `cat /dev/zero > ${state}/ballast 2>/dev/null; true`])
    expect(String(ballast)).toBe('')
    expect(await open().then(complaint, (error: unknown) => `${error}`)).toContain(
      'no space left on the disk that holds',
    )
    await rm(join(state, 'ballast'))
    expect(await contents(await (await open()).fetch(limit()))).toEqual({ a: '1' })
  })

  test('that can only be read is one line, and no matter once it can be written', async () => {
    mount()
    await repository.publish({ a: '1' })
    const source = await open()
    const first = await source.fetch(limit())
    mount('-o', 'remount,ro')
    await repository.publish({ a: '2' })
    expect(await complaint(source)).toBe(`${repository.bare}: ${state} can only be read; let it be written`)
    expect(await contents(await source.tree(first.commit))).toEqual({ a: '1' })
    mount('-o', 'remount,rw')
    expect(await contents(await source.fetch(limit()))).toEqual({ a: '2' })
  })
})
