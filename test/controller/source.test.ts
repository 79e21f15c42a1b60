import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSource, type Source, SourceDown, type SourceOptions } from '../../controller/source/source.ts'
import { createCertificate } from '../support/certificate.ts'
import { serveGit } from '../support/git-server.ts'
import { suite } from '../support/machine.ts'
import { freePort } from '../support/port.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { serveSsh } from '../support/ssh-server.ts'
import { contents } from '../support/tree.ts'

const token = 'a-token-of-the-test'
let repository: Repository
let state: string

beforeEach(async () => {
  repository = await createRepository()
  state = await mkdtemp(join(tmpdir(), 'gateway-source-'))
})

afterEach(async () => {
  await repository[Symbol.asyncDispose]()
  await rm(state, { recursive: true, force: true })
})

function source(options: Partial<SourceOptions> = {}): Promise<Source> {
  return openSource({ repo: repository.bare, branch: 'main', path: '', state, ...options })
}

function limit(): AbortSignal {
  return AbortSignal.timeout(20_000)
}

async function complaint(options: Partial<SourceOptions> = {}): Promise<string> {
  const opened = await source(options)
  const error = await opened.fetch(limit()).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SourceDown)
  const { message } = error instanceof SourceDown ? error : { message: '' }
  expect(message).not.toContain('\n')
  expect(message).not.toContain(token)
  return message
}

describe('a folder of this machine', () => {
  test('gives the files of the head with their modes and sizes', async () => {
    const commit = await repository.publish({
      'a.txt': 'one',
      'run.sh': { mode: '100755', content: '#!/bin/sh' },
      link: { mode: '120000', content: 'a.txt' },
      'folder/ü and\nmore': '',
    })
    const tree = await (await source()).fetch(limit())
    expect(tree.commit).toBe(commit)
    expect((await tree.list()).map(({ path, mode, size }) => [path, mode, size])).toEqual([
      ['a.txt', '100644', 3],
      ['folder/ü and\nmore', '100644', 0],
      ['link', '120000', 5],
      ['run.sh', '100755', 9],
    ])
    expect(await contents(tree)).toEqual({
      'a.txt': 'one',
      'run.sh': '#!/bin/sh',
      link: 'a.txt',
      'folder/ü and\nmore': '',
    })
  })

  test('gives paths relative to the folder that it reads', async () => {
    await repository.publish({ 'deploy/gateway/manifests/a.yaml': 'a', 'deploy/gateway-2/b': 'b', other: 'c' })
    const tree = await (await source({ path: 'deploy/gateway' })).fetch(limit())
    expect(await contents(tree)).toEqual({ 'manifests/a.yaml': 'a' })
  })

  test('gives a submodule without a size', async () => {
    await repository.commit({ file: '' })
    await repository.git('update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},module`)
    await repository.git('commit', '-qm', 'Add a submodule')
    await repository.push()
    const files = await (await (await source()).fetch(limit())).list()
    expect(files.find(({ path }) => path === 'module')).toMatchObject({ mode: '160000', size: 0 })
  })

  test('gives the same tree while the head is the same, and a new one after a push', async () => {
    await repository.publish({ a: '1' })
    const opened = await source()
    const first = await opened.fetch(limit())
    expect(await opened.fetch(limit())).toBe(first)
    const commit = await repository.publish({ a: '2' })
    const second = await opened.fetch(limit())
    expect(second.commit).toBe(commit)
    expect(await contents(second)).toEqual({ a: '2' })
    expect(await contents(first)).toEqual({ a: '1' })
  })

  test('follows a force-push, and still has what it took away', async () => {
    const base = await repository.publish({ a: '1' })
    const gone = await repository.publish({ a: 'gone' })
    const opened = await source()
    await opened.fetch(limit())
    await repository.git('reset', '--quiet', '--hard', base)
    const next = await repository.commit({ a: 'next' })
    await repository.push({ force: true })
    expect((await opened.fetch(limit())).commit).toBe(next)
    execFileSync('git', ['--git-dir', join(state, 'mirror.git'), 'gc', '--quiet', '--prune=now'])
    expect(await contents(await opened.tree(gone))).toEqual({ a: 'gone' })
  })

  test('names the commits between two, newest first', async () => {
    const commits: string[] = []
    for (const a of ['1', '2', '3', '4']) commits.push(await repository.publish({ a }))
    const opened = await source()
    await opened.fetch(limit())
    const [first = '', second, third, fourth = ''] = commits
    expect(await opened.skipped(first, fourth)).toEqual([third, second])
    expect(await opened.skipped(first, fourth, 1)).toEqual([third])
    expect(await opened.skipped(fourth, fourth)).toEqual([])
    expect(await opened.skipped('0'.repeat(40), fourth)).toEqual([])
  })

  test('refuses a commit that it does not have', async () => {
    await repository.publish({ a: '1' })
    const opened = await source()
    await opened.fetch(limit())
    await expect(opened.tree('1'.repeat(40))).rejects.toThrow(`has no commit ${'1'.repeat(40)}`)
    await expect(opened.tree('--help')).rejects.toThrow('not a full commit hash')
  })

  test('reads a repository with SHA-256 hashes', async () => {
    const bare = join(state, 'sha256.git')
    execFileSync('git', ['init', '-q', '--bare', '--object-format=sha256', '-b', 'main', bare])
    const empty = execFileSync('git', ['--git-dir', bare, 'hash-object', '-w', '-t', 'tree', '--stdin'], { input: '' })
    const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.invalid']
    const commit = execFileSync('git', [
      '--git-dir',
      bare,
      ...identity,
      'commit-tree',
      String(empty).trim(),
      '-m',
      'One',
    ])
    execFileSync('git', ['--git-dir', bare, 'update-ref', 'refs/heads/main', String(commit).trim()])
    const tree = await (await source({ repo: bare })).fetch(limit())
    expect(tree.commit).toBe(String(commit).trim())
    expect(await tree.list()).toEqual([])
  })

  test('says what is wrong with it', async () => {
    expect(await complaint()).toBe(`${repository.bare}: has no commit yet; push one to main`)
    await repository.publish({ a: '1' })
    expect(await complaint({ branch: 'mian' })).toContain(
      'has no branch mian (did you mean main?); push it or set GATEWAY_BRANCH',
    )
    expect(await complaint({ branch: 'production' })).toContain('has no branch production (there are: main)')
    expect(await complaint({ path: 'deploy' })).toContain('has no folder deploy; push it or set GATEWAY_PATH')
    expect(await complaint({ repo: join(state, 'nowhere') })).toContain(
      'there is no git repository at this path; check GATEWAY_REPO',
    )
  })

  test('uses no protocol but its own', async () => {
    await repository.publish({ a: '1' })
    await expect(source({ repo: 'ext::sh -c true' })).rejects.toThrow('allowed is https://')
    await repository.git(
      'config',
      '--file',
      join(repository.bare, 'config'),
      'uploadpack.packObjectsHook',
      `touch ${state}/ran;`,
    )
    await (await source()).fetch(limit())
    expect(await readdir(state)).not.toContain('ran')
  })

  test('refuses a history with a path that leads out of it', async () => {
    const blob = (await repository.publish({ a: '1' }).then(() => repository.git('rev-parse', 'HEAD:a'))).trim()
    const body = Buffer.concat([Buffer.from('100644 ..\0'), Buffer.from(blob, 'hex')])
    const input = { cwd: repository.work, input: body }
    const tree = execFileSync('git', ['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'], input)
    const commit = await repository.git('commit-tree', String(tree).trim(), '-p', 'HEAD', '-m', 'Climb')
    await repository.git('push', '--quiet', repository.bare, `${commit}:refs/heads/main`)
    expect(await complaint()).toContain('its history holds what git refuses as unsafe')
  })

  test.runIf(process.getuid?.() === 0)('refuses the folder of another user until the operator trusts it', async () => {
    await repository.publish({ a: '1' })
    for (const path of ['', ...(await readdir(repository.bare, { recursive: true }))])
      await chown(join(repository.bare, path), 12_345, -1)
    const line = await complaint()
    expect(line).toContain(`the folder belongs to another user: ${repository.bare}`)
    const [command = ''] = /git config --file .*/.exec(line) ?? []
    execFileSync('sh', ['-c', command])
    const tree = await (await source()).fetch(limit())
    expect(await contents(tree)).toEqual({ a: '1' })
  })
})

describe('a bundle on this machine', () => {
  const bundle = () => join(state, 'rescue.bundle')

  test('is read as a repository, and once more when another takes its place', async () => {
    const opened = await source({ repo: bundle() })
    for (const a of ['1', '2']) {
      await repository.commit({ a })
      await repository.git('bundle', 'create', '--quiet', `${bundle()}.new`, 'main')
      await rename(`${bundle()}.new`, bundle())
      expect(await contents(await opened.fetch(limit()))).toEqual({ a })
    }
  })

  test('is refused with one line when it is not there, damaged, or only a part', async () => {
    expect(await complaint({ repo: bundle() })).toContain('there is no git repository at this path')
    await writeFile(bundle(), 'nonsense')
    expect(await complaint({ repo: bundle() })).toContain('is no git bundle')
    const base = await repository.commit({ a: '1' })
    await repository.commit({ a: '2' })
    await repository.git('bundle', 'create', '--quiet', bundle(), 'main', `^${base}`)
    expect(await complaint({ repo: bundle() })).toContain('holds only a part of the history')
    await repository.git('bundle', 'create', '--quiet', bundle(), 'main')
    await truncate(bundle(), (await readFile(bundle())).length - 30)
    expect(await complaint({ repo: bundle() })).toContain('is damaged')
  })
})

test('a shallow repository is read as far as it goes', async () => {
  for (const a of ['1', '2', '3']) await repository.publish({ a })
  const shallow = join(state, 'shallow.git')
  execFileSync('git', ['clone', '-q', '--bare', '--depth=1', `file://${repository.bare}`, shallow])
  expect(await contents(await (await source({ repo: shallow })).fetch(limit()))).toEqual({ a: '3' })
})

describe('a mirror', () => {
  test('is made anew when it is damaged', async () => {
    const commit = await repository.publish({ a: '1' })
    const opened = await source()
    await opened.fetch(limit())
    await writeFile(join(state, 'mirror.git/HEAD'), 'nonsense')
    await writeFile(join(state, 'mirror.git/config'), '[broken')
    const next = await repository.publish({ a: '2' })
    expect(next).not.toBe(commit)
    expect(await contents(await opened.fetch(limit()))).toEqual({ a: '2' })
  })

  test('is made anew after a blob was found damaged', async () => {
    await repository.publish({ a: 'content '.repeat(1_000) })
    const opened = await source()
    const tree = await opened.fetch(limit())
    const objects = join(state, 'mirror.git/objects')
    for (const file of readdirSync(objects, { recursive: true, withFileTypes: true }))
      if (file.isFile()) await truncate(join(file.parentPath, file.name), 20)
    await expect(contents(tree)).rejects.toThrow()
    expect(Object.keys(await contents(await opened.fetch(limit())))).toEqual(['a'])
  })

  test('is made anew after a lock was left behind', async () => {
    await repository.publish({ a: '1' })
    const opened = await source()
    await opened.fetch(limit())
    await writeFile(join(state, 'mirror.git/refs/gateway/head.lock'), '')
    await repository.publish({ a: '2' })
    expect(await contents(await opened.fetch(limit()))).toEqual({ a: '2' })
  })

  test('is kept when the repository cannot be reached, and serves what it has', async () => {
    const commit = await repository.publish({ a: '1' })
    const opened = await source()
    await opened.fetch(limit())
    await rm(repository.bare, { recursive: true })
    await expect(opened.fetch(limit())).rejects.toThrow(SourceDown)
    expect(await contents(await opened.tree(commit))).toEqual({ a: '1' })
  })

  test('is used again by the next start', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare)
    await (await source({ repo: server.url })).fetch(limit())
    server.requests.length = 0
    await (await source({ repo: server.url })).fetch(limit())
    expect(server.requests.filter(({ path }) => path.includes('info/refs'))).toHaveLength(1)
  })
})

describe('reading blobs', () => {
  test('gives one after the other at the reader’s pace and leaves no process', async () => {
    const big = Buffer.alloc(3 * 2 ** 20, 'x')
    await repository.publish({ a: big, b: '', c: 'c\nc', d: big })
    const tree = await (await source()).fetch(limit())
    const oids = (await tree.list()).map(({ oid }) => oid)
    const sizes: number[] = []
    for await (const blob of tree.read(oids, limit())) sizes.push(blob.length)
    expect(sizes).toEqual([big.length, 0, 3, big.length])
    for await (const _ of tree.read(oids)) break
    await expect.poll(readers).toEqual([])
  })

  test('stops with the signal', async () => {
    await repository.publish({ a: Buffer.alloc(3 * 2 ** 20, 'x'), b: 'b' })
    const tree = await (await source()).fetch(limit())
    const oids = (await tree.list()).map(({ oid }) => oid)
    const abort = new AbortController()
    const blobs = tree.read([...oids, ...oids], abort.signal)[Symbol.asyncIterator]()
    await blobs.next()
    abort.abort(new Error('enough'))
    await expect(blobs.next()).rejects.toThrow('enough')
    await expect.poll(readers).toEqual([])
  })

  test('refuses what is no blob', async () => {
    await repository.publish({ a: '1' })
    const tree = await (await source()).fetch(limit())
    await expect(Array.fromAsync(tree.read(['1'.repeat(40)]))).rejects.toThrow('missing')
    await expect(Array.fromAsync(tree.read([tree.commit]))).rejects.toThrow('has no blob')
  })
})

describe('over HTTP', () => {
  test('keeps the token out of arguments, the mirror and errors', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare, { token })
    server.fault = { kind: 'slow', latency: 300 }
    const opened = await source({ repo: server.url, token })
    const seen = new Set<string>()
    const watch = setInterval(() => {
      for (const line of processes('git')) seen.add(line)
    }, 20)
    await opened.fetch(limit()).finally(() => clearInterval(watch))
    expect([...seen].some((line) => line.includes('fetch') && line.includes(server.url))).toBe(true)
    const basic = Buffer.from(`x-access-token:${token}`).toString('base64')
    for (const line of seen) expect(line).not.toMatch(new RegExp(`${token}|${basic}`))
    for (const file of readdirSync(state, { recursive: true, withFileTypes: true }))
      if (file.isFile())
        expect(await readFile(join(file.parentPath, file.name), 'latin1')).not.toMatch(new RegExp(`${token}|${basic}`))
    expect(opened.label).toBe(server.url)
  })

  test('asks once where the branch is, and fetches only when it moved', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare)
    const opened = await source({ repo: server.url })
    await opened.fetch(limit())
    server.requests.length = 0
    await opened.fetch(limit())
    expect(server.requests.map(({ path }) => path.split('/').at(-1))).toEqual([
      'refs?service=git-upload-pack',
      'git-upload-pack',
    ])
  })

  test('sees what was pushed over HTTP', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare, { token })
    const opened = await source({ repo: server.url, token })
    await opened.fetch(limit())
    const commit = await repository.commit({ a: Buffer.alloc(2 ** 21, randomBytes(2 ** 21)) })
    await repository.git('push', '--quiet', server.url.replace('//', `//user:${token}@`), 'HEAD:main')
    expect((await opened.fetch(limit())).commit).toBe(commit)
  })

  test('says what is wrong with access', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare, { token })
    const repo = server.url
    expect(await complaint({ repo })).toContain('the server wants a login; give a token')
    expect(await complaint({ repo, token: 'another' })).toContain('the server refuses GATEWAY_GIT_TOKEN')
    server.fault = { kind: 'status', status: 403 }
    expect(await complaint({ repo, token })).toContain('HTTP 403')
    server.fault = { kind: 'status', status: 404 }
    expect(await complaint({ repo, token })).toContain('no such repository, or GATEWAY_GIT_TOKEN may not see it')
    server.fault = { kind: 'status', status: 503 }
    expect(await complaint({ repo, token })).toContain('the server answers HTTP 503')
  })

  test('sends no credentials where the server redirects to', async () => {
    await repository.publish({ a: '1' })
    await using elsewhere = await serveGit(repository.bare)
    await using server = await serveGit(repository.bare)
    server.fault = { kind: 'redirect', to: elsewhere.url.replace(/\/[^/]*$/, '') }
    expect(await complaint({ repo: server.url, token })).toContain('set GATEWAY_REPO to the final address')
    expect(elsewhere.requests).toEqual([])
  })

  test('says that nobody listens, or that the name is unknown', async () => {
    const port = await freePort()
    expect(await complaint({ repo: `http://127.0.0.1:${port}/x.git` })).toContain(
      'cannot be reached (Failed to connect',
    )
    expect(await complaint({ repo: 'http://no-such-host.invalid/x.git' })).toContain(
      'the name no-such-host.invalid is not known here',
    )
  })

  test('tries again after an answer that was cut off', async () => {
    await repository.publish({ a: 'x'.repeat(100_000) })
    await using server = await serveGit(repository.bare)
    const opened = await source({ repo: server.url })
    server.fault = { kind: 'cut' }
    await expect(opened.fetch(limit())).rejects.toThrow(SourceDown)
    server.fault = { kind: 'none' }
    expect(Object.keys(await contents(await opened.fetch(limit())))).toEqual(['a'])
  })

  test('stops at once with the signal while the server says nothing', async () => {
    await repository.publish({ a: '1' })
    await using server = await serveGit(repository.bare)
    server.fault = { kind: 'hang' }
    const opened = await source({ repo: server.url })
    const abort = new AbortController()
    const fetched = opened.fetch(abort.signal)
    const settled = expect(fetched).rejects.toThrow('enough')
    await expect.poll(() => server.requests.length).toBe(1)
    abort.abort(new Error('enough'))
    await settled
  })

  test('trusts the CA that it is given, and no unknown one', async () => {
    await repository.publish({ a: '1' })
    const certificate = createCertificate()
    await using server = await serveGit(repository.bare, { tls: certificate })
    expect(await complaint({ repo: server.url })).toContain('its certificate is not trusted')
    expect(await complaint({ repo: server.url })).toContain('GATEWAY_CA_FILE')
    const caFile = join(state, 'ca.pem')
    expect(await complaint({ repo: server.url, caFile: state })).toContain('GATEWAY_CA_FILE')
    await writeFile(caFile, certificate.cert)
    expect(await contents(await (await source({ repo: server.url, caFile })).fetch(limit()))).toEqual({ a: '1' })
    const plain = server.url.replace('https', 'http')
    expect(await complaint({ repo: plain })).toContain('cannot be reached')
  })

  test('refuses credentials in the URL', async () => {
    await expect(source({ repo: `https://user:${token}@example.invalid/x.git` })).rejects.toThrow(
      'found credentials in the URL; take them out and give the token in GATEWAY_GIT_TOKEN',
    )
  })

  test('ignores what git is told by our own environment', async () => {
    await repository.publish({ a: '1' })
    process.env.GIT_SSH_COMMAND = 'false'
    process.env.GIT_DIR = '/nowhere'
    process.env.GIT_CONFIG_COUNT = 'nonsense'
    try {
      await (await source()).fetch(limit())
    } finally {
      for (const name of ['GIT_SSH_COMMAND', 'GIT_DIR', 'GIT_CONFIG_COUNT']) delete process.env[name]
    }
  })
})

suite('over SSH', ['sshd'], () => {
  test('reads with its key from the server that it knows, and from no other', async () => {
    const commit = await repository.publish({ a: '1' })
    await using server = await serveSsh()
    const repo = server.url(repository.bare)
    const access = { repo, sshKeyFile: server.key, sshKnownHosts: server.knownHosts }
    expect((await (await source(access)).fetch(limit())).commit).toBe(commit)
    expect(await complaint({ ...access, sshKnownHosts: server.wrongKnownHosts })).toContain(
      `the server's host key is not the one in ${server.wrongKnownHosts}`,
    )
    const none = join(state, 'none')
    await writeFile(none, '', { mode: 0o644 })
    expect(await complaint({ ...access, sshKnownHosts: none })).toContain('GATEWAY_SSH_KNOWN_HOSTS')
    expect(await complaint({ ...access, sshKeyFile: server.strangerKey })).toContain('the server refuses the key')
    expect(await complaint({ ...access, sshKeyFile: none })).toContain(`run: chmod 600 ${none}`)
    await chmod(none, 0o600)
    expect(await complaint({ ...access, sshKeyFile: none })).toContain('without passphrase in GATEWAY_SSH_KEY_FILE')
    expect(await complaint({ ...access, repo: `${repo}-gone` })).toContain('there is no such repository')
    await rm(none)
    await expect(source({ ...access, sshKeyFile: none })).rejects.toThrow(
      `GATEWAY_SSH_KEY_FILE: ${none} cannot be read`,
    )
  })
})

/** Command lines of running processes that contain a text. */
function processes(text: string): readonly string[] {
  return running('cmdline').filter((line) => line.includes(text))
}

/** Environments of the processes that read this test's mirror. */
function readers(): readonly string[] {
  return running('environ').filter((line) => line.includes(`GIT_DIR=${state}`))
}

function running(file: 'cmdline' | 'environ'): readonly string[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')]
      } catch {
        return []
      }
    })
}
