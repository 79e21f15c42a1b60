import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { ForgeRefusal } from '../../controller/forge/fault.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage } from '../support/forge-stage.ts'

const limit = () => AbortSignal.timeout(15_000)

let site: FixtureForge
let stage: Stage
let forge: Forge

beforeAll(async () => {
  site = await openFixtureForge()
  stage = await openStage(site)
  forge = clientOf(stage.bot.token)
})
afterAll(async () => {
  await forge[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

function clientOf(token: string, url = site.url): Forge {
  return openForge({ url, token, repository: stage.repository, inherited: {} })
}

describe('a client of the forge', () => {
  test('reads and writes all that a gateway needs with its smallest token', async () => {
    const base = await stage.work.commit({ 'README.md': 'one' })
    await stage.push('main')
    const head = await stage.work.commit({ 'README.md': 'two' })
    await stage.push('change')
    expect(await forge.version(limit())).toMatch(/^15\./)
    expect(forge.self()).toBeUndefined()
    expect(await forge.statuses(head, limit())).toEqual([])
    const made = await stage.alice.ask(
      'POST',
      `${stage.at}/pulls`,
      { title: 'Change', head: 'change', base: 'main' },
      201,
    )
    expect(made.body).toMatchObject({ number: 1 })
    const expected = {
      number: 1,
      title: 'Change',
      author: stage.alice.login,
      state: 'open',
      draft: false,
      head,
      fork: false,
      base: { branch: 'main', tip: base },
      merged: false,
      mergeCommit: '',
    }
    expect(await forge.openPulls(limit())).toMatchObject([expected])
    expect(await forge.pull(1, limit())).toMatchObject(expected)
    expect(await forge.pull(2, limit())).toBeUndefined()
    expect(await forge.pullOfCommit(base, limit())).toBeUndefined()
    const status = { state: 'warning', context: 'gateway/deploy', description: 'd', url: 'http://x.invalid/' } as const
    await forge.postStatus(head, status, limit())
    expect(forge.self()).toBe(stage.bot.login)
    expect(await forge.statuses(head, limit())).toEqual([{ ...status, author: stage.bot.login }])
    const comment = await forge.comment(1, 'first', limit())
    expect(await forge.editComment(comment.id, 'second', limit())).toMatchObject({ body: 'second' })
    expect(await forge.editComment(4_711, 'second', limit())).toBeUndefined()
    expect(await forge.comments(1, limit())).toEqual([{ id: comment.id, author: stage.bot.login, body: 'second' }])
    await stage.bob.ask('POST', `${stage.at}/pulls/1/reviews`, { event: 'APPROVED', body: 'yes' }, 200)
    expect(await forge.reviews(1, limit())).toMatchObject([
      { author: stage.bob.login, state: 'APPROVED', commit: head, official: true, dismissed: false, stale: false },
    ])
    await expect
      .poll(async () => (await stage.alice.ask('POST', `${stage.at}/pulls/1/merge`, { Do: 'squash' })).status)
      .toBe(200)
    const merged = await forge.pull(1, limit())
    expect(merged).toMatchObject({ state: 'closed', merged: true, mergedBy: stage.alice.login })
    expect(await forge.pullOfCommit(merged?.mergeCommit ?? '', limit())).toMatchObject({ number: 1 })
  })

  test('says which scope a token lacks', async () => {
    const reader = clientOf(await stage.token(stage.bot.login, ['read:repository']))
    await expect(
      reader.postStatus('0'.repeat(40), { state: 'pending', context: 'c', description: '' }, limit()),
    ).rejects.toThrow(
      `POST status is forbidden (403 "token does not have at least one of required scope(s): [write:repository]"): GATEWAY_FORGE_TOKEN needs the scope write:repository for ${stage.repository} (given when a token is made, at ${site.url}/user/settings/applications)`,
    )
    await expect(reader.comments(1, limit())).rejects.toThrow('needs the scope read:issue')
    await expect(reader.comment(1, 'x', limit())).rejects.toThrow('needs the scope write:issue')
  })

  test('says that the token is unknown, without saying the token', async () => {
    const error = await clientOf('wrong-token')
      .openPulls(limit())
      .catch((fault: unknown) => fault)
    expect(error).toBeInstanceOf(ForgeRefusal)
    expect(String(error)).toContain('give GATEWAY_FORGE_TOKEN one that is neither revoked nor expired')
    expect(JSON.stringify(error) + String(error)).not.toContain('wrong-token')
  })
})
