import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { markerOf } from '../../controller/forge/comment.ts'
import { openSource } from '../../controller/source/source.ts'
import { imageServer, permissions } from '../support/core.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import type { Stage } from '../support/forge-stage.ts'
import { type Counter, openCounter } from '../support/pull-counter.ts'
import { createRepository } from '../support/repository.ts'
import { until } from '../support/until.ts'

const inherited = { PATH: process.env.PATH ?? '' }

const base = {
  'manifests/permissions.yaml': permissions({ 'agent-a': ['outline', 'notes'], 'agent-b': ['notes'] }),
  'manifests/servers/outline.yaml': imageServer('a'),
  'manifests/servers/notes.yaml': imageServer('b'),
}

let site: FixtureForge
let desk: Counter
let stage: Stage

beforeAll(async () => {
  site = await openFixtureForge()
})
afterAll(() => site[Symbol.asyncDispose]())
beforeEach(async () => {
  desk = await openCounter(site)
  stage = desk.stage
  await desk.moveMain(base)
})
afterEach(() => desk[Symbol.asyncDispose]())

const limit = () => AbortSignal.timeout(60_000)

describe('a pull request', () => {
  test('(8) shows each tool that agents gain and lose, and marks the escalation', async () => {
    desk.footing = {
      ...desk.footing,
      tools: new Map([
        ['outline', ['read_document', 'search_all']],
        ['notes', ['write']],
      ]),
    }
    await desk.inspect()
    const text = permissions({ 'agent-a': ['notes'], 'agent-b': ['*'], 'agent-c': ['outline'] })
    const { head, number } = await desk.propose({
      'manifests/permissions.yaml': text.replace(
        'servers: ["outline"]',
        'owner: true\n    servers: [{ outline: ["search_*"] }]',
      ),
    })
    expect(await desk.judged(head)).toMatchObject({
      state: 'success',
      description: expect.stringMatching(/^ESCALATION; /),
    })
    const { body } = await desk.commentWith(number, '**Valid**')
    expect(body).toContain('+ agent-b gains outline (all tools, now: read_document, search_all, through *)')
    expect(body).toContain('+ agent-c gains outline: search_all (by search_*)')
    expect(body).toContain('- agent-a loses outline (all tools, now: read_document, search_all)')
    expect(body).toContain('! agent-b gains every server (*), and whatever comes next')
    expect(body).toContain('! agent-c is a new agent, with a token')
    expect(body).toContain('! agent-c becomes an owner')
    expect(body).toContain('0 to build, 0 to replace, 0 to remove')
  })

  test('(F4) that gives an agent one tool says exactly that, and names what is replaced', async () => {
    const narrow = base['manifests/permissions.yaml'].replace('servers: ["notes"]', 'servers: [{ notes: ["read"] }]')
    await desk.moveMain({ 'manifests/permissions.yaml': narrow })
    await desk.inspect()
    const { head, number } = await desk.propose({
      'manifests/permissions.yaml': narrow.replace('["read"]', '["read", "write"]'),
      'manifests/servers/outline.yaml': imageServer('c'),
    })
    await desk.judged(head)
    const { body } = await desk.commentWith(number, '**Valid**')
    expect(body).toContain('**Who gains and loses what**\n\n```diff\n+ agent-b gains notes: write\n```')
    expect(body).toContain('+/- outline')
    expect(body).not.toContain('Escalation')
  })

  test('(21) that asks for a privileged container or the socket fails, and nothing is built', async () => {
    await desk.inspect()
    const { head, number } = await desk.propose({
      'manifests/servers/outline.yaml': `${imageServer('a')}privileged: true\n`,
      'manifests/servers/notes.yaml': `${imageServer('b')}volumes: ["/var/run/docker.sock:/var/run/docker.sock"]\n`,
    })
    const row = await desk.judged(head)
    expect(row).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(/^\d errors: manifests\/servers\/notes.yaml:/),
    })
    const { body } = await desk.commentWith(number, '**Invalid**')
    expect(body).toMatch(/manifests\/servers\/outline\.yaml:\d+:\d+ privileged: /)
  })

  test('that touches no manifest gets its status, too', async () => {
    await desk.inspect()
    const { head, number } = await desk.propose({ 'README.md': 'words' })
    expect(await desk.judged(head)).toMatchObject({
      state: 'success',
      description: '0 to build, 0 to replace, 0 to remove',
    })
    expect((await desk.commentWith(number, '**Valid**')).body).toContain('Nobody gains or loses access.')
  })

  test('is judged as what the merge would be, and anew when the branch moves', async () => {
    await desk.inspect()
    const { head, number, branch } = await desk.propose({ 'manifests/servers/extra.yaml': imageServer('d') })
    await desk.judged(head)
    await desk.moveMain({ 'manifests/servers/extra.yaml': imageServer('e') })
    const { body } = await desk.commentWith(number, '**Invalid**')
    expect(body).toContain('it conflicts with main in manifests/servers/extra.yaml')
    await until('its status is another', () => desk.statusOf(head)?.state === 'failure')
    await stage.work.git('checkout', '--quiet', '-B', branch, desk.main)
    const forced = await stage.work.commit({ 'README.md': 'other words' })
    await stage.push(branch)
    await desk.judged(forced)
    const after = await desk.commentWith(number, forced.slice(0, 12))
    expect(desk.commentsOf(number)).toEqual([after])
    expect(after.body).toContain('**Valid**')
  })

  test('is forgotten once it is closed', async () => {
    const { state } = await desk.inspect()
    const { head, number } = await desk.propose({ 'README.md': 'words' })
    await desk.judged(head)
    expect(existsSync(join(state, 'pulls.git', 'refs', 'pulls', `${number}`))).toBe(true)
    await stage.alice.ask('PATCH', `${stage.at}/pulls/${number}`, { state: 'closed' }, 201)
    await until('it is forgotten', () => !existsSync(join(state, 'pulls.git')))
  })

  test('is forgotten beside others, although a git that was killed left its lock', async () => {
    const { state } = await desk.inspect()
    const closed = await desk.propose({ 'README.md': 'words' })
    const open = await desk.propose({ 'README.md': 'other words' })
    for (const { head } of [closed, open]) await desk.judged(head)
    const ref = ({ number }: typeof open) => join(state, 'pulls.git', 'refs', 'pulls', `${number}`)
    await writeFile(`${ref(closed)}.lock`, '')
    await stage.alice.ask('PATCH', `${stage.at}/pulls/${closed.number}`, { state: 'closed' }, 201)
    await until('it is forgotten', () => !existsSync(ref(closed)))
    expect(existsSync(ref(open))).toBe(true)
  })

  test('keeps one comment, put right when somebody edits or deletes it', async () => {
    await desk.inspect()
    const { number } = await desk.propose({ 'README.md': 'words' })
    const first = await desk.commentWith(number, '**Valid**')
    await stage.bob.ask('PATCH', `${stage.at}/issues/comments/${first.id}`, { body: 'lies' }, 200)
    await until('it is put right', () =>
      desk.commentsOf(number).some(({ id, body }) => id === first.id && body.includes('**Valid**')),
    )
    await stage.bob.ask('DELETE', `${stage.at}/issues/comments/${first.id}`, undefined, 204)
    const second = await desk.commentWith(number, '**Valid**')
    expect(second.id).not.toBe(first.id)
    const edits = () =>
      site.requests.filter(({ method, path }) => method === 'PATCH' && path.includes('/issues/comments/')).length
    const before = edits()
    await new Promise((done) => setTimeout(done, 600))
    expect([edits(), desk.commentsOf(number).length]).toEqual([before, 1])
  })

  test('finds its comment again without a memory, and takes nobody else’s for its own', async () => {
    const first = await desk.inspect()
    const { number, branch } = await desk.propose({ 'README.md': 'words' })
    await desk.commentWith(number, '**Valid**')
    await stage.alice.ask(
      'POST',
      `${stage.at}/issues/${number}/comments`,
      { body: `${markerOf(first.of)}\n\nmine` },
      201,
    )
    await first[Symbol.asyncDispose]()
    await desk.inspect()
    const head = await stage.work.commit({ 'README.md': 'more words' })
    await stage.push(branch)
    await desk.commentWith(number, head.slice(0, 12))
    expect(desk.commentsOf(number).map(({ user }) => user.login)).toEqual([stage.bot.login, stage.alice.login])
  })

  test('is shown as old while the plan of its new head is made', async () => {
    await desk.inspect()
    const { number, branch } = await desk.propose({ 'README.md': 'words' })
    await desk.commentWith(number, '**Valid**')
    const from = site.requests.length
    const head = await stage.work.commit({ 'README.md': 'more words' })
    await stage.push(branch)
    await desk.judged(head)
    await until('it is the new plan', () =>
      desk.commentsOf(number).some(({ body }) => body.includes(`\`${head.slice(0, 12)}\` merged`)),
    )
    const own = site.requests.slice(from).filter(({ path }) => path.includes('/issues/comments/'))
    expect(own.map(({ method }) => method)).toEqual(['PATCH', 'PATCH'])
    expect(desk.commentsOf(number)).toHaveLength(1)
  })

  test('gets a comment of each controller', async () => {
    await desk.inspect('one')
    await desk.inspect('two')
    const { number } = await desk.propose({ 'README.md': 'words' })
    await desk.commentWith(number, markerOf(`one/${stage.repository}`))
    await desk.commentWith(number, markerOf(`two/${stage.repository}`))
    await new Promise((done) => setTimeout(done, 500))
    expect(desk.commentsOf(number)).toHaveLength(2)
  })

  test('of which the token may read nothing is one line of trouble', async () => {
    const stranger = await stage.token(stage.bot.login, ['read:issue'])
    const { pulls } = await desk.inspect('gateway', stranger)
    const trouble = await until('there is trouble', () => pulls.trouble())
    expect(trouble).toMatch(/^GET pulls is forbidden .*read:repository/)
  })
})

describe('a fork', () => {
  test('is parsed and bounded, whatever is in it, and never run', async () => {
    const { state } = await desk.inspect()
    await stage.guest.ask('POST', `${stage.at}/forks`, {}, 202)
    const fork = stage.guest.remote.replace(stage.repository, `${stage.guest.login}/gateway-config`)
    await stage.work.git('checkout', '--quiet', '-B', 'hostile', desk.main)
    const bomb = `a: &a [1,1,1,1,1,1,1,1]\n${Array.from({ length: 30_000 }, (_, at) => `k${at}: [*a, *a, *a]`).join('\n')}\n`
    await stage.work.commit({
      'manifests/permissions.yaml': { mode: '120000', content: '/etc/passwd' },
      'manifests/servers/outline.yaml': bomb.slice(0, 2 ** 20 - 1),
      'manifests/servers/big.yaml': `description: ${'x'.repeat(2 ** 20)}\n`,
    })
    await stage.work.git('update-index', '--add', '--cacheinfo', `160000,${desk.main},manifests/servers/sub.yaml`)
    const blob = await stage.work.git('rev-parse', `${desk.main}:manifests/permissions.yaml`)
    const many = Array.from({ length: 10_000 }, (_, at) => `100644 ${blob}\tmany/${at % 100}/${at}\n`)
    await writeFile(join(stage.work.work, '.git', 'many'), many.join(''))
    await stage.work.git('-c', 'alias.many=!git update-index --index-info < "$(git rev-parse --git-dir)/many"', 'many')
    await stage.work.git('commit', '--quiet', '-m', 'Add a submodule and many files')
    const head = await stage.work.git('rev-parse', 'HEAD')
    await stage.work.git('push', '--quiet', fork, 'HEAD:refs/heads/hostile')
    const asked = { title: 'Hostile @root #1', head: `${stage.guest.login}:hostile`, base: 'main' }
    const { body } = await stage.guest.ask('POST', `${stage.at}/pulls`, asked, 201)
    expect(await desk.judged(head)).toMatchObject({
      state: 'failure',
      description: expect.stringContaining('errors: '),
    })
    const { number } = z.object({ number: z.number() }).parse(body)
    const comment = await desk.commentWith(number, '**Invalid**')
    expect(comment.body).toContain('a symlink cannot be a manifest')
    expect(comment.body).toContain('a submodule cannot hold manifests')
    expect(comment.body).toContain('at most 1048576 (1 MiB)')
    expect(Buffer.byteLength(comment.body)).toBeLessThan(60_000)
    const refs = await promisify(execFile)('git', [
      '--git-dir',
      join(state, 'mirror.git'),
      'cat-file',
      '-e',
      head,
    ]).then(
      () => 'in the mirror',
      () => 'not in the mirror',
    )
    expect(refs).toBe('not in the mirror')
  }, 120_000)

  test('whose tree names itself millions of times is refused', async () => {
    await using repository = await createRepository()
    const first = await repository.publish({ file: 'x' })
    let mode = '100644'
    let oid = await repository.git('rev-parse', `${first}:file`)
    for (let level = 0; level < 8; level++) {
      const entry = (at: number) => Buffer.concat([Buffer.from(`${mode} ${at}\0`), Buffer.from(oid, 'hex')])
      const file = join(repository.work, '.git', 'tree')
      await writeFile(file, Buffer.concat(Array.from({ length: 8 }, (_, at) => entry(at))))
      oid = await repository.git('hash-object', '-t', 'tree', '-w', file)
      mode = '40000'
    }
    const head = await repository.git('commit-tree', oid, '-p', first, '-m', 'Grow')
    await repository.git('push', '--quiet', repository.bare, `${head}:refs/pull/1/head`)
    const state = await mkdtemp(join(tmpdir(), 'pulls-'))
    const { fetch, pulls } = await openSource({
      repo: repository.bare,
      branch: 'main',
      path: '',
      state,
      inherited,
    }).then(async (one) => ({ pulls: one.pulls, fetch: await one.fetch(limit()) }))
    expect(fetch.commit).toBe(first)
    expect(await pulls.fetch(1, limit())).toBe(head)
    await expect(pulls.merge(first, head, limit())).rejects.toThrow('the list of its files has more than 64 MiB')
    await rm(state, { recursive: true, force: true, maxRetries: 3 })
  }, 60_000)
})
