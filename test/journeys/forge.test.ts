/**
 * The gateway beside a forge, from a push to the statuses on its commit. Without more it runs against the fixture. Against a real
 * Forgejo 15 (it makes five accounts and one repository there, and removes them):
 *
 *   FORGEJO_URL          its address, as this machine reaches it
 *   FORGEJO_TOKEN        a token of a site's administrator, with all scopes
 *   FORGEJO_CALLS        this machine's address as the forge reaches it (default 127.0.0.1), which the forge's
 *                        [webhook] ALLOWED_HOST_LIST must name
 */
import { randomBytes } from 'node:crypto'
import { connect, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Posted } from '../../controller/forge/answers.ts'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage, type StageOptions } from '../support/forge-stage.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { portOf } from '../support/port.ts'
import { callSmall, smallServer } from '../support/small-server.ts'

const minutes = 60_000
const limit = () => AbortSignal.timeout(30_000)
const agent = testToken()
const secret = randomBytes(24).toString('hex')
const page = 'https://gateway.example'
/** Never, in a test's life: what is deployed was announced. */
const never = '0 0 1 1 *'

async function openSite(): Promise<StageOptions & AsyncDisposable> {
  const { FORGEJO_URL: url, FORGEJO_TOKEN: adminToken } = process.env
  if (url === undefined || adminToken === undefined) return openFixtureForge()
  return { url: url.replace(/\/$/, ''), adminToken, [Symbol.asyncDispose]: async () => {} }
}

/** Lets a forge on another machine reach what listens on loopback. */
async function openRelay(port: number): Promise<Server> {
  const relay = createServer((socket) => {
    const inner = connect(port, '127.0.0.1')
    socket.on('error', () => inner.destroy()).pipe(inner)
    inner.on('error', () => socket.destroy()).pipe(socket)
  })
  await new Promise<void>((done) => relay.listen(0, done))
  return relay
}

const permissions = `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`

describe('the gateway beside a forge', () => {
  let site: Awaited<ReturnType<typeof openSite>>
  let stage: Stage
  let forge: Forge
  let gateway: Gateway
  let relay: Server

  beforeAll(async () => {
    site = await openSite()
    stage = await openStage(site)
    forge = openForge({ url: site.url, token: stage.bot.token, repository: stage.repository, inherited: {} })
    await stage.work.commit({
      'manifests/gateway.yaml': 'bake: 0s\n',
      'manifests/permissions.yaml': permissions,
      ...smallServer('wiki', { word: 'one' }),
      ...smallServer('mail', { word: 'one' }),
    })
    await stage.push('main', stage.owner)
    gateway = await startGateway('process', {
      GATEWAY_REPO: stage.url,
      GATEWAY_GIT_TOKEN: stage.bot.token,
      GATEWAY_FORGE_URL: site.url,
      GATEWAY_FORGE_TOKEN: stage.bot.token,
      GATEWAY_WEBHOOK_SECRET: `another,${secret}`,
      GATEWAY_STATUS_URL: page,
      GATEWAY_POLL: never,
    })
    relay = await openRelay(Number(new URL(gateway.face).port))
  }, 3 * minutes)

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    relay?.close()
    await forge?.[Symbol.asyncDispose]()
    await stage?.[Symbol.asyncDispose]()
    await site?.[Symbol.asyncDispose]()
  }, 2 * minutes)

  const head = () => stage.work.git('rev-parse', 'HEAD')
  const word = (server: string) => callSmall(`${gateway.endpoint}/mcp/${server}`, agent.token, 'word')
  const hooks = () => `${stage.at}/hooks`

  /** Waits until the forge shows all of these of a commit; gives all that it shows. */
  async function becomesShown(commit: string, rows: Readonly<Record<string, string>>): Promise<readonly Posted[]> {
    const shown = async () =>
      Object.fromEntries((await forge.statuses(commit, limit())).map(({ context, state }) => [context, state]))
    await expect.poll(shown, { timeout: minutes, interval: 200 }).toMatchObject(rows)
    return forge.statuses(commit, limit())
  }

  /** Merges as soon as the forge knows whether that can be done. */
  async function merge(number: number, more: object = {}): Promise<{ status: number; message: string }> {
    for (;;) {
      const { status, body } = await stage.alice.ask('POST', `${stage.at}/pulls/${number}/merge`, {
        Do: 'squash',
        ...more,
      })
      const message = z.object({ message: z.string() }).safeParse(body).data?.message ?? ''
      if (message !== 'Please try again later') return { status, message }
      await new Promise((done) => setTimeout(done, 300))
    }
  }

  test('shows the first commit as deployed', { timeout: 3 * minutes }, async () => {
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
    expect((await gateway.status()).forge).toEqual({ ok: true, reason: 'is told everything' })
    expect(await word('wiki')).toBe('one')
  })

  test('hears of the test delivery of a new webhook', async () => {
    const { body } = await stage.owner.ask(
      'POST',
      hooks(),
      {
        type: 'forgejo',
        active: true,
        branch_filter: '*',
        events: ['push', 'delete', 'pull_request_only', 'pull_request_sync', 'pull_request_review'],
        config: {
          url: `http://${process.env.FORGEJO_CALLS ?? '127.0.0.1'}:${portOf(relay)}/webhook/forgejo`,
          content_type: 'json',
          secret,
        },
      },
      201,
    )
    const { id } = z.object({ id: z.number() }).parse(body)
    expect((await gateway.status()).webhook).toEqual({ ok: true, reason: 'no delivery yet' })
    await stage.owner.ask('POST', `${hooks()}/${id}/tests`, undefined, 204)
    await expect
      .poll(async () => (await gateway.status()).webhook?.reason, { timeout: minutes / 2 })
      .toMatch(/^last delivery at /)
  })

  test('deploys a push that nothing but its webhook announced', { timeout: 2 * minutes }, async () => {
    await stage.work.commit(smallServer('wiki', { word: 'two' }))
    await stage.push('main', stage.owner)
    const commit = await head()
    expect(await gateway.becomes(commit)).toMatchObject({ phase: 'applied' })
    const statuses = await becomesShown(commit, { 'gateway/deploy': 'success', 'gateway/deploy/wiki': 'success' })
    expect(statuses.map(({ context }) => context)).not.toContain('gateway/deploy/mail')
    expect(await word('wiki')).toBe('two')
  })

  test('shows a broken commit as failed, with the place of its fault', { timeout: 2 * minutes }, async () => {
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
    const consent = 'consent/window'
    await stage.owner.ask(
      'POST',
      `${stage.at}/branch_protections`,
      {
        rule_name: 'main',
        enable_push: false,
        apply_to_admins: true,
        required_approvals: 0,
        block_on_rejected_reviews: true,
        dismiss_stale_approvals: true,
        enable_status_check: true,
        status_check_contexts: ['consent/*'],
      },
      201,
    )
    await stage.work.commit(smallServer('wiki', { word: 'three' }))
    await expect(stage.push('main', stage.alice)).rejects.toThrow('Not allowed to push to protected branch main')
    await stage.push('change', stage.alice)
    const asked = { title: 'Say three', head: 'change', base: 'main' }
    const opened = await stage.alice.ask('POST', `${stage.at}/pulls`, asked, 201)
    const { number } = z.object({ number: z.number() }).parse(opened.body)
    const change = await head()
    expect(await forge.openPulls(limit())).toMatchObject([{ number, head: change, fork: false }])
    expect(await forge.statuses(change, limit())).not.toContainEqual(expect.objectContaining({ context: consent }))
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
    expect(gateway.output()).not.toContain(stage.bot.token)
    expect(gateway.output()).not.toContain(secret)
  })
})
