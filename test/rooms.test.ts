import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Who may import whom, beside itself. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  manifests: [],
  controller: ['manifests'],
  proxy: ['manifests'],
  stdio: [],
  servers: [],
  test: ['manifests', 'controller', 'proxy', 'stdio', 'servers', 'bench'],
  bench: ['manifests', 'controller', 'proxy', 'stdio', 'servers', 'test'],
}

/** Packages that one file alone imports, types included. */
const owners: Readonly<Record<string, RegExp>> = {
  dockerode: /^controller\/(docker\/)?[\w-]+\.ts$/,
  yaml: /^controller\/([\w-]+\/)?[\w-]+\.ts$/,
}

interface Import {
  readonly file: string
  readonly target: string
}

const sources = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && roomOf(file) in rooms)

const imports: readonly Import[] = sources.flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8')
  const targets = [
    ...text.matchAll(/(?:^|\n)(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g),
  ]
  return targets.map(([, from, dynamic]) => ({ file, target: from ?? dynamic ?? '' }))
})

function roomOf(path: string): string {
  return path.split('/')[0] ?? ''
}

/** The source that an import names, or undefined for a package or for data. */
function resolved({ file, target }: Import): string | undefined {
  if (target.endsWith('.json')) return undefined
  if (target.startsWith('#manifests/')) return target.slice(1)
  return target.startsWith('.') ? normalize(join(dirname(file), target)) : undefined
}

const inside = imports.flatMap((one) => {
  const to = resolved(one)
  return to === undefined ? [] : [{ file: one.file, to }]
})

test('reads the sources', () => {
  expect(inside.length).toBeGreaterThan(100)
})

test('imports go only into the rooms that they may', () => {
  const strays = inside.filter(
    ({ file, to }) => roomOf(file) !== roomOf(to) && !rooms[roomOf(file)]?.includes(roomOf(to)),
  )
  expect(strays).toEqual([])
})

test('manifests import zod and nothing else', () => {
  const packages = imports.filter((one) => roomOf(one.file) === 'manifests' && resolved(one) === undefined)
  expect([...new Set(packages.map(({ target }) => target))].filter((name) => !name.startsWith('node:'))).toEqual([
    'zod',
  ])
})

test('the stdio wrapper imports no package, for it is started where there is none', () => {
  const packages = imports.filter((one) => roomOf(one.file) === 'stdio' && resolved(one) === undefined)
  expect(packages.map(({ target }) => target).filter((name) => !name.startsWith('node:'))).toEqual([])
})

test('a server imports itself and the kit', () => {
  const serverOf = (path: string) => path.split('/')[1]
  const strays = inside.filter(
    ({ file, to }) => roomOf(file) === 'servers' && serverOf(to) !== serverOf(file) && serverOf(to) !== 'kit',
  )
  expect(strays).toEqual([])
})

test('each outside thing has one owner', () => {
  for (const [name, place] of Object.entries(owners)) {
    const importers = new Set(
      imports.filter(({ file, target }) => target === name && roomOf(file) !== 'test').map(({ file }) => file),
    )
    expect([...importers], name).toEqual([expect.stringMatching(place)])
  }
})

test('only configuration reads the environment', () => {
  const readers = sources.filter(
    (file) =>
      ['controller', 'proxy'].includes(roomOf(file)) && readFileSync(join(root, file), 'utf8').includes('process.env'),
  )
  expect(
    readers.filter((file) => !/(^|\/)(main|config|start)\.ts$/.test(file) && !file.startsWith('controller/cli/')),
  ).toEqual([])
})

test('no imports go in a circle, types included', () => {
  const edges = Map.groupBy(inside, ({ file }) => file)
  const done = new Set<string>()
  const circles: string[][] = []
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file])
    if (path.includes(file) || done.has(file)) return
    for (const { to } of edges.get(file) ?? []) walk(to, [...path, file])
    done.add(file)
  }
  for (const file of sources) walk(file, [])
  expect(circles).toEqual([])
})
