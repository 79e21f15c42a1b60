import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Beside, openBeside, page } from '../support/forge-beside.ts'
import { testToken } from '../support/gateway.ts'
import { callSmall, smallServer } from '../support/small-server.ts'

// What of this needs a real Forgejo, and how to name one, is said in test/support/forge-beside.ts.

const minutes = 60_000
const limit = () => AbortSignal.timeout(30_000)
const agent = testToken()
/** Never, in a test's life: what is deployed was announced. */
const never = '0 0 1 1 *'

const permissions = `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`

describe('the gateway beside a forge', () => {
  let beside: Beside

  beforeAll(async () => {
    const files = {
      'manifests/gateway.yaml': 'bake: 0s\n',
      'manifests/permissions.yaml': permissions,
      ...smallServer('wiki', { word: 'one' }),
      ...smallServer('mail', { word: 'one' }),
    }
    beside = await openBeside(files, { GATEWAY_POLL: never })
  }, 3 * minutes)

  afterAll(() => beside?.[Symbol.asyncDispose](), 2 * minutes)

  const head = () => beside.stage.work.git('rev-parse', 'HEAD')
  const word = (server: string) => callSmall(`${beside.gateway.endpoint}/mcp/${server}`, agent.token, 'word')

  test('shows the first commit as deployed', { timeout: 3 * minutes }, async () => {
    const { stage, gateway, becomesShown } = beside
    const commit = await head()
    expect(await gateway.becomes(commit)).toMatchObject({ phase: 'applied' })
    const statuses = await becomesShown(commit, {
      'gateway/deploy': 'success',
      'gateway/grants': 'success',
      'gateway/deploy/wiki': 'success',
      'gateway/deploy/mail': 'success',
    })
    for (const { url, author, description } of statuses) {
      expect(url).toBe(`${page}/commits/${commit}`)
      expect(author).toBe(stage.bot.login)
      expect(description).not.toBe('')
    }
    await expect
      .poll(async () => (await gateway.status()).forge, { timeout: minutes / 2 })
      .toEqual({ ok: true, reason: 'is told everything' })
    expect(await word('wiki')).toBe('one')
  })

  test('hears of the test delivery of a new webhook', async () => {
    const { stage, gateway } = beside
    const id = await beside.announce()
    expect((await gateway.status()).webhook).toEqual({ ok: true, reason: 'no delivery yet' })
    await stage.owner.ask('POST', `${stage.at}/hooks/${id}/tests`, undefined, 204)
    await expect
      .poll(async () => (await gateway.status()).webhook?.reason, { timeout: minutes / 2 })
      .toMatch(/^last delivery at /)
  })

  test('deploys a push that nothing but its webhook announced', { timeout: 2 * minutes }, async () => {
    const { stage, gateway, becomesShown } = beside
    await stage.work.commit(smallServer('wiki', { word: 'two' }))
    await stage.push('main', stage.owner)
    const commit = await head()
    expect(await gateway.becomes(commit)).toMatchObject({ phase: 'applied' })
    const statuses = await becomesShown(commit, { 'gateway/deploy': 'success', 'gateway/deploy/wiki': 'success' })
    expect(statuses.map(({ context }) => context)).not.toContain('gateway/deploy/mail')
    expect(await word('wiki')).toBe('two')
  })

  test('shows a broken commit as failed, with the place of its fault', { timeout: 2 * minutes }, async () => {
    const { stage, becomesShown } = beside
    await stage.work.commit({ 'manifests/servers/mail.yaml': 'imagee: x\n' })
    await stage.push('main', stage.owner)
    const statuses = await becomesShown(await head(), { 'gateway/deploy': 'failure', 'gateway/grants': 'failure' })
    expect(statuses.find(({ context }) => context === 'gateway/deploy')?.description).toContain(
      'manifests/servers/mail.yaml:1:1',
    )
    await stage.work.commit(smallServer('mail', { word: 'one' }))
    await stage.push('main', stage.owner)
    await becomesShown(await head(), { 'gateway/deploy': 'success' })
  })

  test('deploys what was reviewed and merged under a branch protection', { timeout: 3 * minutes }, async () => {
    const { stage, forge, gateway, becomesShown } = beside
    const merge = (number: number, more: object = {}) => beside.merge(number, { Do: 'squash', ...more })
    const consent = 'consent/window'
    const reviewed = { required_approvals: 0, block_on_rejected_reviews: true, dismiss_stale_approvals: true }
    const checked = { enable_status_check: true, status_check_contexts: ['consent/*'] }
    const rule = { rule_name: 'main', enable_push: false, apply_to_admins: true, ...reviewed, ...checked }
    await stage.owner.ask('POST', `${stage.at}/branch_protections`, rule, 201)
    await stage.work.commit(smallServer('wiki', { word: 'three' }))
    await expect(stage.push('main', stage.alice)).rejects.toThrow('Not allowed to push to protected branch main')
    const number = await beside.propose('change')
    const change = await head()
    expect(await forge.openPulls(limit())).toMatchObject([{ number, head: change, fork: false }])
    expect(await merge(number)).toMatchObject({ status: 405, message: 'Not all required status checks successful' })
    await forge.postStatus(change, { state: 'warning', context: consent, description: 'not a success' }, limit())
    expect(await merge(number)).toMatchObject({ status: 405, message: 'Not all required status checks successful' })
    await forge.postStatus(change, { state: 'success', context: consent, description: 'nobody objects' }, limit())
    const reviews = `${stage.at}/pulls/${number}/reviews`
    await stage.bob.ask('POST', reviews, { event: 'REQUEST_CHANGES', body: 'wait' }, 200)
    expect(await merge(number)).toMatchObject({ status: 405, message: 'There are requested changes' })
    await stage.bob.ask('POST', reviews, { event: 'APPROVED', body: 'now' }, 200)
    expect(await forge.reviews(number, limit())).toMatchObject([
      { state: 'REQUEST_CHANGES', official: false, dismissed: true },
      { state: 'APPROVED', official: true, dismissed: false, author: stage.bob.login, commit: change },
    ])
    expect(await merge(number, { head_commit_id: '0'.repeat(40) })).toMatchObject({ status: 409 })
    expect((await merge(number, { head_commit_id: change, delete_branch_after_merge: true })).status).toBe(200)
    const merged = (await forge.pull(number, limit()))?.mergeCommit ?? ''
    expect(await forge.pullOfCommit(merged, limit())).toMatchObject({ number, merged: true, author: stage.alice.login })
    expect(await gateway.becomes(merged)).toMatchObject({ phase: 'applied' })
    await becomesShown(merged, {
      'gateway/deploy': 'success',
      'gateway/grants': 'success',
      'gateway/deploy/wiki': 'success',
    })
    expect(await word('wiki')).toBe('three')
    expect((await gateway.status()).webhook).toMatchObject({ ok: true })
  })

  test('says its token nowhere', () => {
    expect(beside.gateway.output()).not.toContain(beside.stage.bot.token)
    expect(beside.gateway.output()).not.toContain(beside.secret)
  })
})
