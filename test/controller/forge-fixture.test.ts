import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  BranchAnswer,
  CombinedAnswer,
  CommentAnswer,
  listOf,
  PullAnswer,
  ReviewAnswer,
  StatusAnswer,
  VersionAnswer,
} from '../../controller/forge/answers.ts'
import { captured, captureSecret, captures, readAnswer, readCapture } from '../support/captures.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Person, type Stage } from '../support/forge-stage.ts'
import { openLoopback } from '../support/loopback.ts'
import { suite } from '../support/machine.ts'

let site: FixtureForge
let stage: Stage
let head: string

beforeAll(async () => {
  site = await openFixtureForge()
  stage = await openStage(site)
  await stage.work.commit({ 'README.md': 'one' })
  await stage.push('main')
  head = await stage.work.commit({ 'README.md': 'two' })
  await stage.push('change')
  await stage.alice.ask('POST', `${stage.at}/pulls`, { title: 'Change', head: 'change', base: 'main' }, 201)
})
afterAll(async () => {
  await stage[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

const post = (state: string, context = 'c') =>
  stage.bot.ask('POST', `${stage.at}/statuses/${head}`, { state, context }, 201)

/** The JSON type at each path; of a list, that of its first row. */
function shapeOf(value: unknown, path = ''): readonly (readonly [string, string])[] {
  if (value === null || value === '') return [[path, 'nothing']]
  if (Array.isArray(value)) return [[path, 'list'], ...(value.length === 0 ? [] : shapeOf(value[0], `${path}[]`))]
  if (typeof value !== 'object') return [[path, typeof value]]
  return [[path, 'object'], ...Object.entries(value).flatMap(([key, inner]) => shapeOf(inner, `${path}.${key}`))]
}

suite('the fixture beside what a real Forgejo answered', ['shared-data'], () => {
  async function compare(real: unknown, ours: unknown): Promise<void> {
    const known = new Map(shapeOf(real))
    const strange = shapeOf(ours).filter(([path, type]) => {
      const theirs = known.get(path)
      const elsewhere = [...known.keys()].some(
        (other) => other !== path && path.startsWith(`${other}.`) && known.get(other) === 'nothing',
      )
      if (theirs === undefined) return !elsewhere && !inEmptyList(path, known)
      return theirs !== type && theirs !== 'nothing' && type !== 'nothing'
    })
    expect(strange).toEqual([])
  }

  function inEmptyList(path: string, known: ReadonlyMap<string, string>): boolean {
    const list = path.replace(/\[\].*$/, '')
    return list !== path && !known.has(`${list}[]`)
  }

  test('has rows of the same shape', async () => {
    const { body: status } = await post('pending')
    await compare(readAnswer('status-create'), status)
    await compare(
      readAnswer('combined-status'),
      (await stage.bot.ask('GET', `${stage.at}/commits/${head}/status`)).body,
    )
    await compare(readAnswer('pulls'), (await stage.bot.ask('GET', `${stage.at}/pulls`)).body)
    const { body: review } = await stage.bob.ask(
      'POST',
      `${stage.at}/pulls/1/reviews`,
      { event: 'REQUEST_CHANGES', body: 'no' },
      200,
    )
    await compare(readAnswer('review-reject'), review)
    await compare(readAnswer('reviews'), (await stage.bot.ask('GET', `${stage.at}/pulls/1/reviews`)).body)
    const { body: comment } = await stage.bot.ask('POST', `${stage.at}/issues/1/comments`, { body: 'x' }, 201)
    await compare(readAnswer('comment-create'), comment)
    await compare(readAnswer('comments'), (await stage.bot.ask('GET', `${stage.at}/issues/1/comments`)).body)
    await compare(readAnswer('branch'), (await stage.bot.ask('GET', `${stage.at}/branches/main`)).body)
    await compare(readAnswer('version'), (await stage.bot.ask('GET', '/version')).body)
  })

  test('is read by what also reads the real answers', () => {
    expect(StatusAnswer.parse(readAnswer('status-create'))).toMatchObject({ state: 'pending', author: 'gateway-bot' })
    expect(CombinedAnswer.parse(readAnswer('combined-status'))).toHaveLength(2)
    expect(
      listOf(PullAnswer)
        .parse(readAnswer('pulls'))
        .map(({ fork }) => fork),
    ).toContain(false)
    expect(PullAnswer.parse(readAnswer('commit-pull'))).toMatchObject({
      merged: true,
      mergedBy: 'alice',
      author: 'alice',
    })
    expect(PullAnswer.parse(readAnswer('pr-merged'))).toMatchObject({ merged: true, state: 'closed' })
    expect(listOf(ReviewAnswer).parse(readAnswer('reviews'))[1]).toMatchObject({
      state: 'REQUEST_CHANGES',
      official: true,
    })
    expect(listOf(CommentAnswer).parse(readAnswer('comments'))[0]?.author).toBe('gateway-bot')
    expect(BranchAnswer.parse(readAnswer('branch'))).toEqual({
      mayPush: false,
      mayMerge: true,
      required: ['gateway/*'],
    })
    expect(VersionAnswer.parse(readAnswer('version'))).toMatch(/^15\.0\.3/)
  })

  test('sends deliveries with the headers and keys of real ones', async () => {
    await using _ = await listening()
    const real = readCapture('webhook-push-add-modify-remove-rename.json')
    await stage.work.git('commit', '--quiet', '--allow-empty', '-m', 'again')
    await stage.push('change')
    await site.hooks.rest()
    const ours = site.deliveries.find(({ type }) => type === 'push')
    const names = Object.keys(real.headers)
      .map((name) => name.toLowerCase())
      .filter((name) => name.startsWith('x-'))
    expect(
      Object.keys(ours?.headers ?? {})
        .filter((name) => name.startsWith('x-'))
        .toSorted(),
    ).toEqual(names.toSorted())
    const keys = Object.keys(JSON.parse(`${real.body}`))
    expect(Object.keys(JSON.parse(ours?.body ?? '')).toSorted()).toEqual(keys.toSorted())
    expect(captured().length).toBe(44)
    expect(captureSecret()).not.toBe('')
  })

  /** What the real one answered to each call, by right and scopes. */
  const Matrix = z.record(z.string(), z.record(z.string(), z.union([z.number(), z.string()])))
  const calls: Readonly<Record<string, readonly [string, string, object?]>> = {
    'GET repo': ['GET', ''],
    'GET branch': ['GET', '/branches/main'],
    'GET pulls': ['GET', '/pulls'],
    'GET reviews': ['GET', '/pulls/1/reviews'],
    'GET combined status': ['GET', '/commits/main/status'],
    'POST status': ['POST', '/statuses/main', { state: 'success' }],
    'GET issue comments': ['GET', '/issues/1/comments'],
    'POST PR comment': ['POST', '/issues/1/comments', { body: 'x' }],
    'GET branch_protections': ['GET', '/branch_protections'],
    'GET hooks': ['GET', '/hooks'],
    'POST review approve': ['POST', '/pulls/1/reviews', { event: 'APPROVED' }],
  }
  const matrixFile = new URL('token-scope-matrix.json', captures)
  const matrix = existsSync(matrixFile) ? Matrix.parse(JSON.parse(readFileSync(matrixFile, 'utf8'))) : {}

  test.each(Object.entries(matrix))('opens to %s what the real one does', async (who, answers) => {
    const [, right = '', scopes = '', extent = ''] = /^(\w+) \| (\S+) \((.*)\)$/.exec(who) ?? []
    await stage.owner.ask('PUT', `${stage.at}/collaborators/${stage.bob.login}`, { permission: right }, 204)
    const token = await stage.token(stage.bob.login, scopes.split('+'), extent === 'all repos')
    const found: Record<string, unknown> = {}
    for (const [name, [method, path, body]] of Object.entries(calls))
      found[name] = await asked(token, method, `${stage.at}${path}`, body)
    found['GET /user'] = await asked(token, 'GET', '/user')
    found['GET /version'] = await asked(token, 'GET', '/version')
    const remote = stage.bob.remote.replace(stage.bob.token, token)
    found['git ls-remote'] = await stage.work.git('ls-remote', remote).then(
      () => 'ok',
      () => 'FAIL',
    )
    found['git push'] = await stage.work.git('push', '--quiet', '--force', remote, 'HEAD:refs/heads/by-bob').then(
      () => 'ok',
      () => 'FAIL',
    )
    expect(found).toEqual(Object.fromEntries(Object.keys(found).map((name) => [name, answers[name]])))
  })

  async function asked(token: string, method: string, path: string, body?: object): Promise<number> {
    const answer = await fetch(`${site.url}/api/v1${path}`, {
      method,
      headers: { authorization: `token ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return answer.status
  }
})

async function listening(events: readonly string[] = ['push', 'create', 'delete', 'pull_request']) {
  const loopback = await openLoopback()
  const config = { url: `${loopback.url}/hook`, content_type: 'json', secret: 'first' }
  const { body } = await stage.owner.ask(
    'POST',
    `${stage.at}/hooks`,
    { type: 'forgejo', active: true, events, config },
    201,
  )
  const { id } = z.object({ id: z.number() }).parse(body)
  return {
    id,
    async [Symbol.asyncDispose]() {
      await stage.owner.ask('DELETE', `${stage.at}/hooks/${id}`)
      await loopback.close()
    },
  }
}

describe('the fixture has the oddities of Forgejo', () => {
  const events = () => site.deliveries.map(({ type }) => type)
  const since = async (act: () => Promise<unknown>) => {
    const before = site.deliveries.length
    await act()
    await site.hooks.rest()
    return events().slice(before)
  }

  test('takes a status in any state, of which nothing is success', async () => {
    for (const state of ['bogus', '']) expect((await post(state)).body).toMatchObject({ status: state })
    expect((await stage.bot.ask('GET', `${stage.at}/commits/${head}/status`)).body).toMatchObject({ state: '' })
    await stage.bot.ask('POST', `${stage.at}/statuses/${'0'.repeat(40)}`, { state: 'success' }, 404)
  })

  test('shows null where there are no statuses', async () => {
    const fresh = await stage.work.commit({ 'README.md': 'without a status' })
    await stage.push('fresh')
    const { body } = await stage.bot.ask('GET', `${stage.at}/commits/${fresh}/status`, undefined, 200)
    expect(body).toMatchObject({ state: '', statuses: null, total_count: 0 })
  })

  test('makes hooks inactive unless told otherwise, and keeps their secret whatever is asked', async () => {
    const config = { url: 'http://127.0.0.1:1/', content_type: 'json', secret: 'x' }
    const { body } = await stage.owner.ask('POST', `${stage.at}/hooks`, { type: 'forgejo', config }, 201)
    expect(body).toMatchObject({ active: false })
    expect(JSON.stringify(body)).not.toContain('"x"')
    await using hook = await listening()
    await stage.owner.ask('PATCH', `${stage.at}/hooks/${hook.id}`, { config: { secret: 'second' } }, 200)
    expect(site.repo(stage.repository).hooks.find(({ id }) => id === hook.id)?.secret).toBe('first')
  })

  test('tells of a deleted branch without a push, and delivers once', async () => {
    await using _ = await listening()
    await stage.push('gone')
    expect(await since(() => stage.work.git('push', '--quiet', stage.alice.remote, ':gone'))).toEqual(['delete'])
    site.hooks.reaches = false
    expect(await since(() => stage.push('lost'))).toEqual(['create', 'push'])
    site.hooks.reaches = true
    expect(await since(() => site.hooks.rest())).toEqual([])
  })

  test('tells of a merge before its push, and of a head that moves', async () => {
    await using _ = await listening()
    await stage.work.commit({ 'README.md': 'three' })
    await stage.push('other')
    const opened = await stage.alice.ask(
      'POST',
      `${stage.at}/pulls`,
      { title: 'Other', head: 'other', base: 'main' },
      201,
    )
    const { number } = z.object({ number: z.number() }).parse(opened.body)
    await stage.work.commit({ 'README.md': 'four' })
    expect(await since(() => stage.push('other'))).toEqual(['push', 'pull_request_sync'])
    const merge = () => mergeSoon(stage.bob, number)
    expect(await since(merge)).toEqual(['pull_request', 'push'])
  })

  test('shows a fork, whose head the base repository has', async () => {
    await stage.owner.ask('PUT', `${stage.at}/collaborators/${stage.guest.login}`, { permission: 'read' }, 204)
    await stage.guest.ask('POST', `${stage.at}/forks`, {}, 202)
    const remote = stage.guest.remote.replace(stage.owner.login, stage.guest.login)
    const tip = await stage.work.commit({ 'README.md': 'from a fork' })
    await stage.work.git('push', '--quiet', remote, 'HEAD:refs/heads/mine')
    const asked = { title: 'Fork', head: `${stage.guest.login}:mine`, base: 'main' }
    const { body } = await stage.guest.ask('POST', `${stage.at}/pulls`, asked, 201)
    const pull = PullAnswer.parse(body)
    expect(pull).toMatchObject({ fork: true, head: tip })
    const refs = await stage.work.git('ls-remote', stage.bot.remote, `refs/pull/${pull.number}/head`)
    expect(refs).toContain(tip)
  })

  test('counts a block of those alone who may write, and none by the author', async () => {
    const reviews = `${stage.at}/pulls/1/reviews`
    expect((await stage.guest.ask('POST', reviews, { event: 'REQUEST_CHANGES', body: 'no' }, 200)).body).toMatchObject({
      official: false,
    })
    await stage.alice.ask('POST', reviews, { event: 'REQUEST_CHANGES', body: 'no' }, 422)
  })

  async function mergeSoon(person: Person, number: number): Promise<void> {
    await stage.owner.ask('PUT', `${stage.at}/collaborators/${person.login}`, { permission: 'write' }, 204)
    await expect
      .poll(async () => (await person.ask('POST', `${stage.at}/pulls/${number}/merge`, { Do: 'merge' })).status)
      .toBe(200)
  }
})
