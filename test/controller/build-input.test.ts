import { describe, expect, test } from 'vitest'
import { BuildSpec } from '#manifests/build.ts'
import { readBuildInput } from '../../controller/compile/build-input.ts'
import { describeFault } from '../../controller/desired.ts'
import { type TreeFile, treeOf } from '../support/tree.ts'

type Files = Readonly<Record<string, TreeFile>>
const base = { 'srv/Dockerfile': 'FROM scratch\n', 'srv/main.ts': '//\n' }

async function read(files: Files, build: unknown = { context: 'srv' }) {
  const tree = treeOf(files)
  const spec = BuildSpec.parse(build)
  const blame = (at: string, message: string) => ({ file: 'm.yaml', line: 1, column: 1, at, message })
  return readBuildInput(tree, { spec, context: spec.context ?? '', entries: await tree.list(), blame })
}

async function input(files: Files, build?: unknown) {
  const answer = await read(files, build)
  if (!answer.ok) throw new Error(answer.faults.map(describeFault).join('\n'))
  return answer.input
}

const paths = async (files: Files, build?: unknown) => (await input(files, build)).files.map(({ path }) => path)
const hash = async (files: Files, build?: unknown) => (await input(files, build)).hash

describe('a build input', () => {
  test('is the context’s files, sorted, with paths from the context', async () => {
    expect(await paths({ ...base, 'srv/lib/b.ts': '', 'srv/lib/a.ts': '', 'other/x': '' })).toEqual([
      'Dockerfile',
      'lib/a.ts',
      'lib/b.ts',
      'main.ts',
    ])
  })

  test('is what "paths" name, and the Dockerfile', async () => {
    const files = { ...base, 'kit/a.ts': '', 'kitchen/b.ts': '', 'package.json': '{}' }
    const build = { context: '.', paths: ['srv/main.ts', './kit/'], dockerfile: 'srv/Dockerfile' }
    expect(await paths(files, build)).toEqual(['kit/a.ts', 'srv/Dockerfile', 'srv/main.ts'])
  })

  test('leaves out what .dockerignore says, but never the Dockerfile or .dockerignore', async () => {
    const files = { ...base, 'srv/.dockerignore': '*\n!main.ts\n', 'srv/a.md': '', 'srv/lib/b.md': '' }
    expect(await paths(files)).toEqual(['.dockerignore', 'Dockerfile', 'main.ts'])
  })

  test('prefers the ignore file of its Dockerfile', async () => {
    const files = { ...base, 'srv/Dockerfile.dockerignore': 'a.md\n', 'srv/.dockerignore': 'main.ts\n', 'srv/a.md': '' }
    expect(await paths(files)).toEqual(['.dockerignore', 'Dockerfile', 'Dockerfile.dockerignore', 'main.ts'])
  })

  test('honours .dockerignore of the context although "paths" do not name it', async () => {
    const files = { ...base, '.dockerignore': '**/*.md\n', 'srv/a.md': '' }
    const build = { context: '.', paths: ['srv'], dockerfile: 'srv/Dockerfile' }
    expect(await paths(files, build)).toEqual(['srv/Dockerfile', 'srv/main.ts'])
  })

  test('may leave out a submodule, an LFS pointer or a symlink that cannot be sent', async () => {
    const files = {
      ...base,
      'srv/.dockerignore': 'vendor\n',
      'srv/vendor/lib': { mode: '160000' },
      'srv/vendor/link': { mode: '120000', body: '/etc' },
    }
    expect(await paths(files)).toEqual(['.dockerignore', 'Dockerfile', 'main.ts'])
  })

  test('may hold a symlink that stays in the context', async () => {
    const files = { ...base, 'srv/lib/link': { mode: '120000', body: '../main.ts' } }
    expect(await paths(files)).toContain('lib/link')
  })
})

describe('its hash', () => {
  test('is the same for the same content, elsewhere and beside other files', async () => {
    const moved = { 'new/Dockerfile': 'FROM scratch\n', 'new/main.ts': '//\n', 'README.md': '# x' }
    expect(await hash(moved, { context: 'new' })).toBe(await hash(base))
  })

  test('does not change with a file that is left out', async () => {
    const before = { ...base, 'srv/.dockerignore': '*.md\n', 'srv/a.md': 'a' }
    expect(await hash({ ...before, 'srv/a.md': 'b' })).toBe(await hash(before))
  })

  test.each<readonly [string, Files, unknown]>([
    ['a file’s content', { ...base, 'srv/main.ts': '// more\n' }, { context: 'srv' }],
    ['a file’s mode', { ...base, 'srv/main.ts': { mode: '100755', body: '//\n' } }, { context: 'srv' }],
    ['a file’s name', { 'srv/Dockerfile': 'FROM scratch\n', 'srv/mein.ts': '//\n' }, { context: 'srv' }],
    ['a new file', { ...base, 'srv/x': '' }, { context: 'srv' }],
    ['an argument', base, { context: 'srv', args: { A: 'b' } }],
    ['the target', base, { context: 'srv', target: 'x' }],
    ['the Dockerfile’s text', base, { context: 'srv', dockerfile_inline: 'FROM scratch\n' }],
    ['the Dockerfile’s path', base, { context: 'srv', dockerfile: 'main.ts' }],
  ])('changes with %s', async (_, files, build) => {
    expect(await hash(files, build)).not.toBe(await hash(base))
  })
})

describe('a build input is refused', () => {
  test('over 10,000 files', async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`srv/${index}`, '']))
    expect(await read({ ...base, ...many })).toMatchObject({
      ok: false,
      faults: [{ message: '10002 files to build from: at most 10000, so name fewer in "paths" or .dockerignore' }],
    })
  })

  test('over 256 MiB in total', async () => {
    const many = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`srv/${index}`, { size: 60 * 1024 ** 2 }]))
    expect(await read({ ...base, ...many })).toMatchObject({
      ok: false,
      faults: [{ message: '301 MiB to build from: at most 256 MiB' }],
    })
  })
})
