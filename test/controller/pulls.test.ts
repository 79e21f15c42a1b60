import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { markerOf } from '../../controller/forge/comment.ts'
import { openNotes } from '../../controller/forge/notes.ts'
import { type Footing, openPulls, type Pulls } from '../../controller/forge/pulls.ts'
import { type Journal, openJournal } from '../../controller/journal/journal.ts'
import { type Outbox, openOutbox } from '../../controller/outbox.ts'
import { openSource, type Source } from '../../controller/source/source.ts'
import { createWire, type Wire } from '../../controller/wire.ts'
import { imageServer, permissions } from '../support/core.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Person, type Stage } from '../support/forge-stage.ts'
import { type Change, createRepository } from '../support/repository.ts'
import { until } from '../support/until.ts'

const limit = () => AbortSignal.timeout(60_000)
const log = pino({ level: 'silent' })
const inherited = { PATH: process.env.PATH ?? '' }
const given = { given: true } as const

/** A controller's inspection of pull requests, on a real mirror of the forge's repository. */
interface Inspection extends AsyncDisposable {
  readonly state: string
  readonly pulls: Pulls
  readonly journal: Journal
  readonly of: string
}

let site: FixtureForge
let stage: Stage
let main: string
let hints: Wire<number>
let footing: Omit<Footing, 'tip'>
let tip: string
let source: Source
let open: Inspection[]

const base = {
  'manifests/permissions.yaml': permissions({ 'agent-a': ['outline', 'notes'], 'agent-b': ['notes'] }),
  'manifests/servers/outline.yaml': imageServer('a'),
  'manifests/servers/notes.yaml': imageServer('b'),
}

beforeAll(async () => {
  site = await openFixtureForge()
})
afterAll(() => site[Symbol.asyncDispose]())
beforeEach(async () => {
  stage = await openStage(site)
  hints = createWire()
  open = []
  main = await stage.work.commit(base)
  await stage.push('main')
  const nobody = { base: undefined, approved: [], signers: undefined, approvals: undefined, consent: given }
  footing = { ...nobody, accepted: main, tools: new Map(), secrets: new Set() }
})
afterEach(async () => {
  for (const one of open) await one[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
})

async function inspect(instance = 'gateway', token = stage.bot.token): Promise<Inspection> {
  const state = await mkdtemp(join(tmpdir(), 'pulls-'))
  const journal = openJournal(state)
  const outbox: Outbox = openOutbox(journal, log)
  const forge: Forge = openForge({ url: site.url, token, repository: stage.repository, inherited: {} })
  source = await openSource({ repo: stage.url, branch: 'main', path: '', state, token: stage.bot.token, inherited })
  tip = (await source.fetch(limit())).commit
  const of = `${instance}/${stage.repository}`
  const notes = openNotes({ forge, outbox, journal, of })
  outbox.employ({
    kind: 'status',
    async carry(key, body, signal) {
      await forge.postStatus(key.split(' ')[0] ?? '', JSON.parse(body), signal)
    },
  })
  const pulls = openPulls({
    ...{ forge, notes, hints, log, inherited, of, branch: 'main', path: '', every: 100, checkEvery: 200 },
    refs: source.pulls,
    post: (sha, said) => outbox.send('status', `${sha} ${said.context}`, JSON.stringify(said)),
    isTold: (sha) => outbox.lastSent('status', `${sha} gateway/validate`) !== undefined,
    footing: async () => ({ ...footing, tip }),
    onChange: () => {},
  })
  const one: Inspection = {
    ...{ state, pulls, journal, of },
    async [Symbol.asyncDispose]() {
      await pulls[Symbol.asyncDispose]()
      await outbox[Symbol.asyncDispose]()
      await forge[Symbol.asyncDispose]()
      journal[Symbol.dispose]()
      await rm(state, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  open.push(one)
  return one
}

const Numbered = z.object({ number: z.number() })
let made = 0

/** Commits on a branch of its own from what `main` is, and asks for the merge. */
async function propose(changes: Readonly<Record<string, Change>>, as: Person = stage.alice) {
  const branch = `change-${++made}`
  await stage.work.git('checkout', '--quiet', '-B', branch, main)
  const head = await stage.work.commit(changes)
  await stage.push(branch)
  const { body } = await as.ask('POST', `${stage.at}/pulls`, { title: 'Change', head: branch, base: 'main' }, 201)
  return { branch, head, number: Numbered.parse(body).number }
}

function statusOf(sha: string) {
  return site.repo(stage.repository).statuses.findLast((row) => row.sha === sha && row.context === 'gateway/validate')
}

function judged(sha: string) {
  return until(
    `${sha} is judged`,
    () => {
      const row = statusOf(sha)
      return row !== undefined && row.state !== 'pending' && row
    },
    30_000,
  )
}

function commentsOf(number: number) {
  return site.repo(stage.repository).comments.filter((comment) => comment.number === number)
}

function commentWith(number: number, text: string) {
  return until(`a comment says ${text}`, () => commentsOf(number).find(({ body }) => body.includes(text)), 30_000)
}

describe('a pull request', () => {
  test('(8) shows each tool that agents gain and lose, and marks the escalation', async () => {
    footing = {
      ...footing,
      tools: new Map([
        ['outline', ['read_document', 'search_all']],
        ['notes', ['write']],
      ]),
    }
    await inspect()
    const text = permissions({ 'agent-a': ['notes'], 'agent-b': ['*'], 'agent-c': ['outline'] })
    const { head, number } = await propose({
      'manifests/permissions.yaml': text.replace(
        'servers: ["outline"]',
        'owner: true\n    servers: [{ outline: ["search_*"] }]',
      ),
    })
    expect(await judged(head)).toMatchObject({ state: 'success', description: expect.stringMatching(/^ESCALATION; /) })
    const { body } = await commentWith(number, '**Valid**')
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
    main = await stage.work.commit({ 'manifests/permissions.yaml': narrow })
    await stage.push('main')
    await inspect()
    const { head, number } = await propose({
      'manifests/permissions.yaml': narrow.replace('["read"]', '["read", "write"]'),
      'manifests/servers/outline.yaml': imageServer('c'),
    })
    await judged(head)
    const { body } = await commentWith(number, '**Valid**')
    expect(body).toContain('**Who gains and loses what**\n\n```diff\n+ agent-b gains notes: write\n```')
    expect(body).toContain('+/- outline')
    expect(body).not.toContain('Escalation')
  })

  test('(21) that asks for a privileged container or the socket fails, and nothing is built', async () => {
    await inspect()
    const { head, number } = await propose({
      'manifests/servers/outline.yaml': `${imageServer('a')}privileged: true\n`,
      'manifests/servers/notes.yaml': `${imageServer('b')}volumes: ["/var/run/docker.sock:/var/run/docker.sock"]\n`,
    })
    const row = await judged(head)
    expect(row).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(/^\d errors: manifests\/servers\/notes.yaml:/),
    })
    const { body } = await commentWith(number, '**Invalid**')
    expect(body).toMatch(/manifests\/servers\/outline\.yaml:\d+:\d+ privileged: /)
  })

  test('that touches no manifest gets its status, too', async () => {
    await inspect()
    const { head, number } = await propose({ 'README.md': 'words' })
    expect(await judged(head)).toMatchObject({ state: 'success', description: '0 to build, 0 to replace, 0 to remove' })
    expect((await commentWith(number, '**Valid**')).body).toContain('Nobody gains or loses access.')
  })

  test('is judged as what the merge would be, and anew when the branch moves', async () => {
    await inspect()
    const { head, number, branch } = await propose({ 'manifests/servers/extra.yaml': imageServer('d') })
    await judged(head)
    await stage.work.git('checkout', '--quiet', '-B', 'main', main)
    main = await stage.work.commit({ 'manifests/servers/extra.yaml': imageServer('e') })
    await stage.push('main')
    tip = (await source.fetch(limit())).commit
    const { body } = await commentWith(number, '**Invalid**')
    expect(body).toContain('it conflicts with main in manifests/servers/extra.yaml')
    await until('its status is another', () => statusOf(head)?.state === 'failure')
    await stage.work.git('checkout', '--quiet', '-B', branch, main)
    const forced = await stage.work.commit({ 'README.md': 'other words' })
    await stage.push(branch)
    await judged(forced)
    const after = await commentWith(number, forced.slice(0, 12))
    expect(commentsOf(number)).toEqual([after])
    expect(after.body).toContain('**Valid**')
  })

  test('is forgotten once it is closed', async () => {
    const { state } = await inspect()
    const { head, number } = await propose({ 'README.md': 'words' })
    await judged(head)
    expect(existsSync(join(state, 'pulls.git', 'refs', 'pulls', `${number}`))).toBe(true)
    await stage.alice.ask('PATCH', `${stage.at}/pulls/${number}`, { state: 'closed' }, 201)
    await until('it is forgotten', () => !existsSync(join(state, 'pulls.git')))
  })

  test('keeps one comment, put right when somebody edits or deletes it', async () => {
    await inspect()
    const { number } = await propose({ 'README.md': 'words' })
    const first = await commentWith(number, '**Valid**')
    await stage.bob.ask('PATCH', `${stage.at}/issues/comments/${first.id}`, { body: 'lies' }, 200)
    await until('it is put right', () =>
      commentsOf(number).some(({ id, body }) => id === first.id && body.includes('**Valid**')),
    )
    await stage.bob.ask('DELETE', `${stage.at}/issues/comments/${first.id}`, undefined, 204)
    const second = await commentWith(number, '**Valid**')
    expect(second.id).not.toBe(first.id)
    const edits = () =>
      site.requests.filter(({ method, path }) => method === 'PATCH' && path.includes('/issues/comments/')).length
    const before = edits()
    await new Promise((done) => setTimeout(done, 600))
    expect([edits(), commentsOf(number).length]).toEqual([before, 1])
  })

  test('finds its comment again without a memory, and takes nobody else’s for its own', async () => {
    const first = await inspect()
    const { number, branch } = await propose({ 'README.md': 'words' })
    await commentWith(number, '**Valid**')
    await stage.alice.ask(
      'POST',
      `${stage.at}/issues/${number}/comments`,
      { body: `${markerOf(first.of)}\n\nmine` },
      201,
    )
    await first[Symbol.asyncDispose]()
    open.length = 0
    await inspect()
    const head = await stage.work.commit({ 'README.md': 'more words' })
    await stage.push(branch)
    await commentWith(number, head.slice(0, 12))
    expect(commentsOf(number).map(({ user }) => user.login)).toEqual([stage.bot.login, stage.alice.login])
  })

  test('is shown as old while the plan of its new head is made', async () => {
    await inspect()
    const { number, branch } = await propose({ 'README.md': 'words' })
    await commentWith(number, '**Valid**')
    const from = site.requests.length
    const head = await stage.work.commit({ 'README.md': 'more words' })
    await stage.push(branch)
    await judged(head)
    await until('it is the new plan', () =>
      commentsOf(number).some(({ body }) => body.includes(`\`${head.slice(0, 12)}\` merged`)),
    )
    const own = site.requests.slice(from).filter(({ path }) => path.includes('/issues/comments/'))
    expect(own.map(({ method }) => method)).toEqual(['PATCH', 'PATCH'])
    expect(commentsOf(number)).toHaveLength(1)
  })

  test('gets a comment of each controller', async () => {
    await inspect('one')
    await inspect('two')
    const { number } = await propose({ 'README.md': 'words' })
    await commentWith(number, markerOf(`one/${stage.repository}`))
    await commentWith(number, markerOf(`two/${stage.repository}`))
    await new Promise((done) => setTimeout(done, 500))
    expect(commentsOf(number)).toHaveLength(2)
  })

  test('of which the token may read nothing is one line of trouble', async () => {
    const stranger = await stage.token(stage.bot.login, ['read:issue'])
    const { pulls } = await inspect('gateway', stranger)
    const trouble = await until('there is trouble', () => pulls.trouble())
    expect(trouble).toMatch(/^GET pulls is forbidden .*read:repository/)
  })
})

describe('a fork', () => {
  test('is parsed and bounded, whatever is in it, and never run', async () => {
    const { state } = await inspect()
    await stage.guest.ask('POST', `${stage.at}/forks`, {}, 202)
    const fork = stage.guest.remote.replace(stage.repository, `${stage.guest.login}/gateway-config`)
    await stage.work.git('checkout', '--quiet', '-B', 'hostile', main)
    const bomb = `a: &a [1,1,1,1,1,1,1,1]\n${Array.from({ length: 30_000 }, (_, at) => `k${at}: [*a, *a, *a]`).join('\n')}\n`
    await stage.work.commit({
      'manifests/permissions.yaml': { mode: '120000', content: '/etc/passwd' },
      'manifests/servers/outline.yaml': bomb.slice(0, 2 ** 20 - 1),
      'manifests/servers/big.yaml': `description: ${'x'.repeat(2 ** 20)}\n`,
    })
    await stage.work.git('update-index', '--add', '--cacheinfo', `160000,${main},manifests/servers/sub.yaml`)
    const blob = await stage.work.git('rev-parse', `${main}:manifests/permissions.yaml`)
    const many = Array.from({ length: 10_000 }, (_, at) => `100644 ${blob}\tmany/${at % 100}/${at}\n`)
    await writeFile(join(stage.work.work, '.git', 'many'), many.join(''))
    await stage.work.git('-c', 'alias.many=!git update-index --index-info < "$(git rev-parse --git-dir)/many"', 'many')
    await stage.work.git('commit', '--quiet', '-m', 'Add a submodule and many files')
    const head = await stage.work.git('rev-parse', 'HEAD')
    await stage.work.git('push', '--quiet', fork, 'HEAD:refs/heads/hostile')
    const asked = { title: 'Hostile @root #1', head: `${stage.guest.login}:hostile`, base: 'main' }
    const { body } = await stage.guest.ask('POST', `${stage.at}/pulls`, asked, 201)
    expect(await judged(head)).toMatchObject({ state: 'failure', description: expect.stringContaining('errors: ') })
    const { number } = Numbered.parse(body)
    const comment = await commentWith(number, '**Invalid**')
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
