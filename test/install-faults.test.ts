import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { until } from './support/until.ts'

/** An npm that goes on as long as `goes-on` is there; as npm does, it copies the lockfile last. */
const npm = `#!/bin/sh
cd "$3" || exit 1
echo "$@" >>"$CHECKOUT/calls"
while [ -e "$CHECKOUT/goes-on" ]; do sleep 0.1; done
mkdir -p node_modules/.bin node_modules/wiki
touch node_modules/.bin/node
cp package-lock.json node_modules/.package-lock.json
`

let checkout: string
let children: ChildProcess[]
beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'install-'))
  children = []
  await mkdir(join(checkout, 'bin'))
  await writeFile(join(checkout, 'bin/npm'), npm)
  await chmod(join(checkout, 'bin/npm'), 0o755)
  await copyFile(fileURLToPath(new URL('../install.mjs', import.meta.url)), join(checkout, 'install.mjs'))
  const packages = { '': {}, 'node_modules/wiki': { version: '1.0.0' } }
  await writeFile(join(checkout, 'package-lock.json'), JSON.stringify({ packages }))
})
afterEach(async () => {
  await rm(join(checkout, 'goes-on'), { force: true })
  for (const child of children) child.kill('SIGKILL')
  await rm(checkout, { recursive: true, force: true, maxRetries: 5 })
})

interface Installing {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  /** Waits until it has printed the line. */
  says(line: string): Promise<unknown>
}

function install({ PATH = `${join(checkout, 'bin')}:${process.env.PATH}` } = {}): Installing {
  const env = { PATH, CHECKOUT: checkout }
  const child = spawn(process.execPath, [join(checkout, 'install.mjs')], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  children.push(child)
  let printed = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk
  })
  const ended = once(child, 'close').then(() => child.exitCode)
  return { child, ended, says: (line) => until(line, () => printed.split('\n').includes(line)) }
}

async function calls(): Promise<readonly string[]> {
  const written = await readFile(join(checkout, 'calls'), 'utf8').catch(() => '')
  return written.split('\n').filter((line) => line !== '')
}

async function goOn(): Promise<void> {
  await writeFile(join(checkout, 'goes-on'), '')
}

/** Whom the lock names: the installation, and its npm. */
async function locked(): Promise<readonly string[]> {
  return (await readFile(join(checkout, '.gateway/install.lock'), 'utf8').catch(() => '')).split(' ')
}

const isLocked = () => existsSync(join(checkout, '.gateway/install.lock'))

test('waits for another installation, says so, and does not repeat it', async () => {
  await goOn()
  const first = install()
  await until('npm runs', async () => (await calls()).length === 1)
  const second = install()
  await second.says('waiting for another installation in this checkout …')
  await rm(join(checkout, 'goes-on'))
  expect([await first.ended, await second.ended]).toEqual([0, 0])
  expect(await calls()).toHaveLength(1)
})

test('ends npm when it is interrupted, and begins anew', async () => {
  await goOn()
  const { child, ended } = install()
  await until('npm runs', async () => (await calls()).length === 1)
  child.kill('SIGINT')
  expect(await ended).toBe(130)
  expect(isLocked()).toBe(false)
  await rm(join(checkout, 'goes-on'))
  expect(await install().ended).toBe(0)
  expect(await calls()).toHaveLength(2)
})

test('waits for the npm of an installation that was killed', async () => {
  await goOn()
  const { child } = install()
  await until(
    'npm runs, and the lock names it',
    async () => (await calls()).length === 1 && (await locked()).length === 2,
  )
  child.kill('SIGKILL')
  const second = install()
  await second.says('waiting for another installation in this checkout …')
  await rm(join(checkout, 'goes-on'))
  expect(await second.ended).toBe(0)
  expect(await calls()).toHaveLength(1)
})

test('says so where there is no npm', async () => {
  await rm(join(checkout, 'bin/npm'))
  const { ended, says } = install({ PATH: join(checkout, 'bin') })
  expect(await ended).toBe(1)
  await says('install: npm does not start: spawn npm ENOENT')
  expect(isLocked()).toBe(false)
})
