import { spawn, spawnSync } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

const script = fileURLToPath(new URL('../install.mjs', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'install-'))
  await copyFile(script, join(folder, 'install.mjs'))
  await lay('.', 'node')
  await lay('servers/one', 'one-thing')
  await mkdir(join(folder, 'servers/kit'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A package whose dependencies are folders beside it, so that no registry is asked. */
async function lay(path: string, ...names: readonly string[]) {
  const at = join(folder, path)
  for (const name of names) {
    await mkdir(join(at, 'packages', name), { recursive: true })
    const manifest = { name, version: '1.0.0', bin: { [name]: 'bin.js' } }
    await writeFile(join(at, 'packages', name, 'package.json'), JSON.stringify(manifest))
    await writeFile(join(at, 'packages', name, 'bin.js'), '#!/usr/bin/env node\n')
  }
  const dependencies = Object.fromEntries(names.map((name) => [name, `file:packages/${name}`]))
  await writeFile(join(at, 'package.json'), JSON.stringify({ name: 'root', version: '1.0.0', dependencies }))
  const locked = spawnSync('npm', ['install', '--package-lock-only', '--offline', '--no-audit', '--no-fund'], {
    cwd: at,
  })
  expect(locked.status).toBe(0)
}

async function install(...args: readonly string[]) {
  const child = spawn(process.execPath, ['install.mjs', ...args], { cwd: folder })
  const ended = new Promise<number | null>((done) => child.once('close', done))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

const installed = (path: string) => readdir(join(folder, path, 'node_modules')).catch(() => [])

test('installs what is missing, and is quiet when nothing is', async () => {
  expect(await install()).toMatchObject({ code: 0, out: '' })
  expect(await installed('.')).toContain('node')
  expect(await installed('servers/one')).toEqual([])
  expect((await install('--servers')).err).toContain('servers/one')
  expect(await installed('servers/one')).toContain('one-thing')
  expect(await install('--servers')).toEqual({ code: 0, out: '', err: '' })
})

test('installs again when the lockfile has changed', async () => {
  await install()
  await lay('.', 'node', 'another')
  expect((await install()).code).toBe(0)
  expect(await installed('.')).toEqual(expect.arrayContaining(['node', 'another']))
})

test('may be run twice at once', async () => {
  const both = await Promise.all([install('--servers'), install('--servers')])
  expect(both.map(({ code }) => code)).toEqual([0, 0])
  const lines = both.flatMap(({ err }) => err.trim().split('\n')).filter((line) => line !== '')
  expect(new Set(lines).size).toBe(lines.length)
  expect(await readdir(join(folder, '.gateway'))).toEqual([])
})

test('goes on where one that was killed left its lock', async () => {
  await mkdir(join(folder, '.gateway'))
  const { pid } = spawnSync(process.execPath, ['--version'])
  await writeFile(join(folder, '.gateway/install.lock'), String(pid))
  expect((await install()).code).toBe(0)
})

test('tells what npm said when it fails', async () => {
  await rm(join(folder, 'packages'), { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "name": "root", "dependencies": { "missing": "1.0.0" } }')
  const { code, err } = await install()
  expect(code).toBe(1)
  expect(err).toMatch(/install: npm ci failed in .*[\s\S]*missing/)
})
