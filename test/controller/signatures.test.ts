import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Tree } from '../../controller/desired.ts'
import { openSource, type Source, SourceDown, type SourceOptions } from '../../controller/source/source.ts'
import { readSigners } from '../../controller/trust/signers.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { createKeys, type Keys } from '../support/signing.ts'

const permissions = 'manifests/permissions.yaml'
const wiki = 'manifests/servers/wiki.yaml'
const code = 'servers/wiki/main.ts'
let repository: Repository
let keys: Keys
let state: string

beforeAll(async () => {
  keys = await createKeys()
})

afterAll(() => keys[Symbol.asyncDispose]())

beforeEach(async () => {
  repository = await createRepository()
  state = await mkdtemp(join(tmpdir(), 'gateway-signatures-'))
})

afterEach(async () => {
  await repository[Symbol.asyncDispose]()
  await rm(state, { recursive: true, force: true })
})

/** A folder of signers: `dev` signs servers, `chief` permissions. */
async function signers(): Promise<string> {
  await keys.allow('default', await keys.line('dev'))
  await keys.allow('permissions', await keys.line('chief'))
  return keys.folder
}

async function open(options: Partial<SourceOptions> = {}): Promise<Source> {
  const inherited = { PATH: process.env.PATH ?? '' }
  return openSource({
    repo: repository.bare,
    branch: 'main',
    path: '',
    state,
    inherited,
    signers: await signers(),
    ...options,
  })
}

/** Commits as somebody, or as nobody. */
async function commit(name: string | undefined, changes: Parameters<Repository['commit']>[0]): Promise<string> {
  await keys.sign(repository, name)
  return repository.commit(changes)
}

interface Verdict {
  readonly files: Readonly<Record<string, string>>
  readonly held: readonly string[]
}

async function vetted(source: Source, base?: string): Promise<Verdict> {
  await repository.push({ force: true })
  const limit = AbortSignal.timeout(30_000)
  const { tree, unsigned } = await source.vet(await source.fetch(limit), base, limit)
  return {
    files: await contents(tree),
    held: unsigned.filter(({ path }) => path !== 'manifests/gateway.yaml').map(({ because }) => because),
  }
}

async function contents(tree: Tree): Promise<Record<string, string>> {
  const files = await tree.list()
  const bodies = await Array.fromAsync(tree.read(files.map(({ oid }) => oid)))
  const all = files.map(({ path }, at) => [path, String(bodies[at])] as const)
  return Object.fromEntries(all.filter(([path]) => path !== 'manifests/gateway.yaml'))
}

/** A first commit of everything, which is the base of what follows. */
async function base(): Promise<string> {
  return commit(undefined, { [permissions]: 'p1', [wiki]: 'w1', [code]: 'c1' })
}

describe('a commit since the last applied one', () => {
  test('takes effect by path, where the signer is one for it', async () => {
    const source = await open()
    const from = await base()
    await commit('dev', { [wiki]: 'w2', [code]: 'c2' })
    await commit('chief', { [permissions]: 'p2' })
    expect(await vetted(source, from)).toEqual({ files: { [permissions]: 'p2', [wiki]: 'w2', [code]: 'c2' }, held: [] })
  })

  test('(9) is held where it is unsigned, and what another signed commit changes applies', async () => {
    const source = await open()
    const from = await base()
    const unsigned = await commit(undefined, { [permissions]: 'p2' })
    await commit('dev', { [wiki]: 'w2' })
    expect(await vetted(source, from)).toEqual({
      files: { [permissions]: 'p1', [wiki]: 'w2', [code]: 'c1' },
      held: [
        `${permissions} stays as in ${from.slice(0, 12)}: commit ${unsigned.slice(0, 12)} changed it and is not signed by an allowed signer (permissions)`,
      ],
    })
  })

  test('is held where its signer is one for other paths only', async () => {
    const source = await open()
    const from = await base()
    await commit('dev', { [permissions]: 'p2', [wiki]: 'w2' })
    const { files, held } = await vetted(source, from)
    expect(files).toEqual({ [permissions]: 'p1', [wiki]: 'w2', [code]: 'c1' })
    expect(held).toHaveLength(1)
  })

  test('neither adds nor removes what is unsigned, and keeps a file whose place is taken', async () => {
    const source = await open()
    const from = await base()
    await commit(undefined, { 'manifests/servers/new.yaml': 'n', [code]: null })
    await commit('dev', { [`${code}/nested`]: 'x', [wiki]: 'w2' })
    const { files, held } = await vetted(source, from)
    expect(files).toEqual({ [permissions]: 'p1', [wiki]: 'w2', [code]: 'c1' })
    expect(held.map((line) => line.split(':')[0])).toEqual([
      `manifests/servers/new.yaml stays absent, as in ${from.slice(0, 12)}`,
      `${code} stays as in ${from.slice(0, 12)}`,
    ])
  })

  test('is held as long as an unsigned one before it touched the same path, and free once that is undone', async () => {
    const source = await open()
    const from = await base()
    await commit(undefined, { [wiki]: 'bad' })
    await commit('dev', { [wiki]: 'w3' })
    expect((await vetted(source, from)).files[wiki]).toBe('w1')
    await commit('dev', { [wiki]: 'w1' })
    expect((await vetted(source, from)).held).toEqual([])
  })

  test.each([
    ['an unknown key', 'stranger', undefined, 'its key is unknown here, or no longer valid'],
    ['an expired key', 'dev', 'valid-before="20200101"', 'its key is unknown here, or no longer valid'],
    ['a key for something else', 'dev', 'namespaces="file"', ''],
  ])('is held with %s', async (_, name, options, why) => {
    const source = await open()
    const from = await base()
    await keys.allow('default', await keys.line('dev', options))
    await commit(name, { [wiki]: 'w2' })
    const { files, held } = await vetted(source, from)
    expect(files[wiki]).toBe('w1')
    expect(held[0]).toContain('is not signed by an allowed signer (default)')
    expect(held[0]).toContain(why)
  })

  test('is held when it was changed after it was signed, and when GPG signed it', async () => {
    const source = await open()
    const from = await base()
    await commit('dev', { [wiki]: 'w2' })
    const signed = await repository.git('cat-file', 'commit', 'HEAD')
    const forge = async (text: string) => {
      const made = execFileSync('git', ['hash-object', '-t', 'commit', '-w', '--stdin'], {
        cwd: repository.work,
        input: text,
      })
      await repository.git('reset', '--quiet', '--hard', String(made).trim())
      return vetted(source, from)
    }
    const tampered = await forge(`${signed.replace('Change', 'Other')}\n`)
    expect(tampered.files[wiki]).toBe('w1')
    expect(tampered.held[0]).toContain('its signature is not good')
    const gpg = await forge(`${signed.replaceAll('SSH SIGNATURE', 'PGP SIGNATURE')}\n`)
    expect(gpg.files[wiki]).toBe('w1')
    expect(gpg.held[0]).toContain('GPG signatures are not supported, sign with an ssh key')
  })

  test('is judged by the signers as they are now', async () => {
    const source = await open()
    const from = await base()
    await commit('dev', { [wiki]: 'w2' })
    expect((await vetted(source, from)).held).toEqual([])
    await keys.allow('default', await keys.line('chief'))
    expect((await vetted(source, from)).files[wiki]).toBe('w1')
    await rm(join(keys.folder, 'default'))
    await expect(vetted(source, from)).rejects.toThrow('default: is not there')
    await keys.allow('default', await keys.line('dev'))
    expect((await vetted(source, from)).held).toEqual([])
  })

  test('counts one file of signers for all paths', async () => {
    const from = await base()
    const source = await open({ signers: await keys.allow('all', await keys.line('dev')) })
    await commit('dev', { [permissions]: 'p2' })
    expect((await vetted(source, from)).files[permissions]).toBe('p2')
  })

  test('knows its paths below the folder that is read', async () => {
    const source = await open({ path: 'deploy' })
    const from = await commit(undefined, { [`deploy/${permissions}`]: 'p1', other: '1' })
    await commit('dev', { [`deploy/${permissions}`]: 'p2', other: '2' })
    expect((await vetted(source, from)).files).toEqual({ [permissions]: 'p1' })
    await commit('chief', { [`deploy/${wiki}`]: 'w' })
    expect((await vetted(source, from)).files).toEqual({ [permissions]: 'p1' })
  })

  test('needs nobody’s signature where nobody is asked for', async () => {
    const source = await open({ signers: undefined })
    const from = await base()
    await commit(undefined, { [permissions]: 'p2' })
    expect(await vetted(source, from)).toEqual({ files: { [permissions]: 'p2', [wiki]: 'w1', [code]: 'c1' }, held: [] })
  })
})

describe('a merge', () => {
  /** The branch and a topic, both signed and both moved on. */
  async function topic(changes: Parameters<Repository['commit']>[0], name: string | undefined): Promise<string> {
    const from = await base()
    await repository.git('checkout', '--quiet', '-b', 'topic')
    await commit(name, changes)
    await repository.git('checkout', '--quiet', 'main')
    await commit('dev', { [code]: 'c2' })
    await keys.sign(repository, undefined)
    return from
  }

  test('needs no signature where git would have made it', async () => {
    const source = await open()
    const from = await topic({ [wiki]: 'w2' }, 'dev')
    await repository.git('merge', '--quiet', '--no-ff', '-m', 'Merge', 'topic')
    expect(await vetted(source, from)).toEqual({ files: { [permissions]: 'p1', [wiki]: 'w2', [code]: 'c2' }, held: [] })
  })

  test('brings nothing in that is unsigned', async () => {
    const source = await open()
    const from = await topic({ [wiki]: 'w2' }, undefined)
    await repository.git('merge', '--quiet', '--no-ff', '-m', 'Merge', 'topic')
    expect((await vetted(source, from)).files).toEqual({ [permissions]: 'p1', [wiki]: 'w1', [code]: 'c2' })
  })

  test('that is squashed is a commit as any other', async () => {
    const source = await open()
    const from = await topic({ [wiki]: 'w2' }, 'dev')
    await repository.git('merge', '--quiet', '--squash', 'topic')
    const squash = await commit(undefined, {})
    const { files, held } = await vetted(source, from)
    expect(files[wiki]).toBe('w1')
    expect(held[0]).toContain(`commit ${squash.slice(0, 12)} changed it`)
  })

  test('that adds something of its own needs a signature for that alone', async () => {
    const source = await open()
    const from = await topic({ [wiki]: 'w2' }, 'dev')
    await repository.git('merge', '--quiet', '--no-ff', '--no-commit', 'topic')
    await commit(undefined, { [permissions]: 'evil' })
    const merge = await repository.git('rev-parse', 'HEAD')
    const { files, held } = await vetted(source, from)
    expect(files).toEqual({ [permissions]: 'p1', [wiki]: 'w2', [code]: 'c2' })
    expect(held).toEqual([
      `${permissions} stays as in ${from.slice(0, 12)}: merge ${merge.slice(0, 12)} does more there than git's own merge and is not signed by an allowed signer (permissions)`,
    ])
    await keys.sign(repository, 'chief')
    await repository.git('commit', '--quiet', '--amend', '--no-edit')
    expect((await vetted(source, from)).files[permissions]).toBe('evil')
  })

  test('that throws away what is applied needs a signature', async () => {
    const source = await open()
    await topic({ [wiki]: 'w2' }, 'dev')
    const applied = await repository.git('rev-parse', 'HEAD')
    await repository.git('merge', '--quiet', '--no-ff', '--no-commit', 'topic')
    await commit(undefined, { [code]: 'c1' })
    const { files, held } = await vetted(source, applied)
    expect(files[code]).toBe('c2')
    expect(held).toHaveLength(1)
  })

  test('that resolves a conflict needs a signature, also where it takes one side', async () => {
    const source = await open()
    const from = await topic({ [code]: 'topic' }, 'dev')
    await repository.git('merge', '--quiet', '--no-ff', '-X', 'ours', '-m', 'Merge', 'topic')
    expect((await vetted(source, from)).files[code]).toBe('c1')
    await keys.sign(repository, 'dev')
    await repository.git('commit', '--quiet', '--amend', '--no-edit')
    expect((await vetted(source, from)).files[code]).toBe('c2')
  })

  test('does not carry an unsigned change along with a signed rename', async () => {
    const source = await open()
    const text = `${'line\n'.repeat(20)}`
    await commit(undefined, { [permissions]: 'p1', 'servers/old/main.ts': text })
    const from = await repository.git('rev-parse', 'HEAD')
    await repository.git('checkout', '--quiet', '-b', 'topic')
    await commit(undefined, { 'servers/old/main.ts': `${text}evil\n` })
    await repository.git('checkout', '--quiet', 'main')
    await commit('dev', { 'servers/old/main.ts': null, 'servers/new/main.ts': text })
    await keys.sign(repository, undefined)
    await repository.git('merge', '--quiet', '--no-ff', '-m', 'Merge', 'topic')
    expect(await repository.git('show', 'HEAD:servers/new/main.ts')).toContain('evil')
    const { files } = await vetted(source, from)
    expect(JSON.stringify(files)).not.toContain('evil')
  })

  test('with a history that is not this one’s is its own doing', async () => {
    const source = await open()
    const from = await base()
    await repository.git('checkout', '--quiet', '--orphan', 'elsewhere')
    await repository.git('rm', '-rqf', '.')
    await commit('dev', { 'manifests/servers/foreign.yaml': 'f' })
    await repository.git('checkout', '--quiet', '--force', 'main')
    await keys.sign(repository, undefined)
    await repository.git('merge', '--quiet', '--allow-unrelated-histories', '--no-ff', '-m', 'Merge', 'elsewhere')
    expect(Object.keys((await vetted(source, from)).files)).not.toContain('manifests/servers/foreign.yaml')
  })
})

describe('without a last applied commit', () => {
  test('the newest signed one of the branch vouches for all before it, for each kind of path', async () => {
    const source = await open()
    await commit(undefined, { [permissions]: 'p1', [wiki]: 'w1' })
    await commit('chief', { [code]: 'c1' })
    await commit('dev', { [code]: 'c2' })
    await commit(undefined, { [permissions]: 'p2', [wiki]: 'w2' })
    const { files, held } = await vetted(source)
    expect(files).toEqual({ [permissions]: 'p1', [wiki]: 'w1', [code]: 'c2' })
    expect(held).toHaveLength(2)
  })

  test('nothing is trusted where none is signed, and it says what to do', async () => {
    const source = await open()
    await base()
    const { files, held } = await vetted(source)
    expect(files).toEqual({})
    expect(held[0]).toBe(
      `${permissions} stays absent: no commit of the branch is signed by an allowed signer (permissions); sign one, which vouches for all before it: git commit --allow-empty -S`,
    )
    await commit('chief', {})
    await commit('dev', {})
    expect((await vetted(source)).files).toEqual({ [permissions]: 'p1', [wiki]: 'w1', [code]: 'c1' })
  })
})

test('looks through a thousand commits at once, and again for nothing', async () => {
  const from = await base()
  await keys.sign(repository, 'dev')
  await repository.commit({ [wiki]: 'w2' })
  const stream = Array.from({ length: 1_000 }, (_, at) =>
    [
      'commit refs/heads/many',
      `committer Test <test@example.invalid> ${1_700_000_000 + at} +0000`,
      'data 1\nx',
      ...(at === 0 ? ['from refs/heads/main'] : []),
      `M 100644 inline notes/${at}`,
      'data 1\nx',
      '',
    ].join('\n'),
  ).join('\n')
  execFileSync('git', ['fast-import', '--quiet'], { cwd: repository.work, input: stream })
  await repository.git('checkout', '--quiet', '-B', 'main', 'many')
  const source = await open()
  const first = await vetted(source, from)
  expect(first.held).toHaveLength(1_000)
  expect(first.files[wiki]).toBe('w2')
})

describe('the signers', () => {
  test.each([
    ['', 'names no signer; write a line each'],
    ['# nobody\n', 'names no signer'],
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample dev\n', ':1: begins with a key; write who it belongs to before it'],
    ['\ndev@example.invalid ssh-ed25519\n', ':2: is no signer; write <name> ssh-ed25519 <public key>'],
  ])('are refused with what is wrong in them: %j', async (text, expected) => {
    const file = join(state, 'allowed')
    await writeFile(file, text)
    await expect(readSigners(file)).rejects.toThrow(expected)
    await expect(open({ signers: file })).rejects.toThrow(`GATEWAY_ALLOWED_SIGNERS: ${file}`)
  })

  test('are refused when they are not there, or half of them', async () => {
    await expect(open({ signers: join(state, 'none') })).rejects.toThrow(
      'none: is not there; an allowed_signers file, or a folder',
    )
    await mkdir(join(state, 'half'))
    await writeFile(join(state, 'half/default'), await keys.line('dev'))
    await expect(open({ signers: join(state, 'half') })).rejects.toThrow('half/permissions: is not there')
  })

  test('need ssh-keygen', async () => {
    const bin = join(state, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'git'), '#!/bin/sh\nexec /usr/bin/git "$@"\n')
    await chmod(join(bin, 'git'), 0o755)
    const opening = open({ inherited: { PATH: bin } })
    await expect(opening).rejects.toThrow(SourceDown)
    await expect(opening).rejects.toThrow('ssh-keygen is not installed')
  })
})
