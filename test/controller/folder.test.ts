import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { validate } from '../../controller/compile/validate.ts'
import type { Tree } from '../../controller/desired.ts'
import { openFolder } from '../../controller/source/folder.ts'
import { agent, wiki } from '../support/manifest.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-folder-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function write(files: Readonly<Record<string, unknown>>) {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), String(text))
  }
}

function git(...args: readonly string[]): string {
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.invalid', '-c', 'commit.gpgsign=false']
  return execFileSync('git', ['-C', folder, ...who, ...args], { encoding: 'utf8' })
}

async function listing(tree: Tree): Promise<readonly string[]> {
  return (await tree.list()).map(({ mode, oid, path }) => `${mode} ${oid} ${path}`).sort()
}

function committed(): readonly string[] {
  const lines = git('ls-tree', '-rz', 'HEAD')
    .split('\0')
    .filter((line) => line !== '')
  return lines.map((line) => line.replace(/ (?:blob|commit) /, ' ').replace('\t', ' ')).sort()
}

describe('a folder', () => {
  test('is the tree that git would commit of it', async () => {
    await write({
      'a.txt': 'a',
      'b/run.sh': '#!/bin/sh\n',
      'b/é.txt': 'x',
      'ignored.log': 'x',
      '.gitignore': '*.log\n',
    })
    await chmod(join(folder, 'b/run.sh'), 0o755)
    await symlink('../a.txt', join(folder, 'b/link'))
    git('init', '-q')
    const before = await listing(await openFolder(folder))
    git('add', '-A')
    git('commit', '-qm', 'x')
    expect(before).toEqual(committed())
    expect(await listing(await openFolder(folder))).toEqual(before)
  })

  test('has what is changed on disk, and not what is gone', async () => {
    await write({ 'a.txt': 'a', 'b.txt': 'b' })
    git('init', '-q')
    git('add', '-A')
    await write({ 'a.txt': 'changed' })
    await rm(join(folder, 'b.txt'))
    const tree = await openFolder(folder)
    const [entry] = await tree.list()
    expect(await tree.list()).toHaveLength(1)
    const bodies: string[] = []
    for await (const body of tree.read([entry!.oid])) bodies.push(body.toString())
    expect(bodies).toEqual(['changed'])
  })

  test('shows a repository in it as the submodule that git would make of it', async () => {
    await write({ 'inner/a.txt': 'a', 'a.txt': 'a' })
    git('init', '-q')
    git('init', '-q', 'inner')
    expect((await (await openFolder(folder)).list()).map(({ mode, path }) => `${mode} ${path}`).sort()).toEqual([
      '100644 a.txt',
      '160000 inner',
    ])
  })

  test('outside of git is all of it but node_modules, and no symlink is followed', async () => {
    await write({ 'a/b.txt': 'b', 'node_modules/x/index.js': '' })
    await symlink('/etc', join(folder, 'etc'))
    const entries = await (await openFolder(folder)).list()
    expect(entries.map(({ mode, path }) => `${mode} ${path}`).sort()).toEqual(['100644 a/b.txt', '120000 etc'])
  })
})

describe('validate', () => {
  test('says what a valid folder holds', async () => {
    await write(wiki(''))
    expect(await validate(folder)).toMatchObject({
      ok: true,
      lines: ['valid: 1 server, 1 agent'],
      servers: ['wiki'],
      agents: ['agent-a'],
    })
  })

  test('gives each warning a line', async () => {
    await write({ 'manifests/permissions.yaml': `${agent('[]')}servers: { a: { url: "http://127.0.0.1/mcp" } }\n` })
    const { ok, lines } = await validate(folder)
    expect({ ok, lines }).toEqual({
      ok: true,
      lines: [
        'warning: manifests/permissions.yaml:5:22 servers.a.url: leads back to the machine or container that asks: the machine itself is host.docker.internal',
        'valid: 1 server, 1 agent',
      ],
    })
  })

  test('gives each fault a line', async () => {
    await write(wiki('port: x\nenviron: {}\n'))
    const { ok, lines } = await validate(folder)
    expect({ ok, lines }).toEqual({
      ok: false,
      lines: [
        'manifests/servers/wiki.yaml:1:7 port: expected a number, found "x"',
        'manifests/servers/wiki.yaml:2:1 environ: unknown key (did you mean "env"?)',
        'not valid: 2 errors',
      ],
    })
  })

  test('says that there is no folder, or that it is none', async () => {
    await write({ 'a.txt': '' })
    expect((await validate(join(folder, 'x'))).lines[0]).toContain('there is no such folder: name the one that holds')
    expect((await validate(join(folder, 'a.txt'))).lines[0]).toContain('this is no folder: name the one that holds')
  })
})
