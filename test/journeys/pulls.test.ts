import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { PullStatus } from '#manifests/status.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage } from '../support/forge-stage.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const alpha = testToken()
const beta = testToken()
const secret = randomBytes(24).toString('hex')
const operator = randomBytes(24).toString('hex')
const page = 'https://gateway.example'

function permissions(servers: string): string {
  const agent = (name: string, hash: string, list: string) =>
    `  ${name}:\n    token_hash: "${hash}"\n    servers: ${list}\n`
  return `agents:\n${agent('alpha', alpha.hash, '[wiki]')}${agent('beta', beta.hash, servers)}`
}

describe('a pull request', () => {
  let site: FixtureForge
  let stage: Stage
  let gateway: Gateway

  beforeAll(async () => {
    site = await openFixtureForge()
    stage = await openStage(site)
    const commit = await stage.work.commit({
      'manifests/gateway.yaml': 'bake: 0s\ngovernance: { approvals: 1 }\n',
      'manifests/permissions.yaml': permissions('[]'),
      ...smallServer('wiki', { word: 'one' }),
    })
    await stage.push('main', stage.owner)
    gateway = await startGateway('process', {
      GATEWAY_REPO: stage.url,
      GATEWAY_GIT_TOKEN: stage.bot.token,
      GATEWAY_FORGE_URL: site.url,
      GATEWAY_FORGE_TOKEN: stage.bot.token,
      GATEWAY_WEBHOOK_SECRET: secret,
      GATEWAY_STATUS_URL: page,
      GATEWAY_OPERATOR_TOKEN: operator,
    })
    expect(await gateway.becomes(commit)).toMatchObject({ phase: 'applied' })
    const hook = { url: `${gateway.face}/webhook/forgejo`, content_type: 'json', secret }
    const events = ['push', 'pull_request_only', 'pull_request_sync', 'pull_request_review']
    await stage.owner.ask('POST', `${stage.at}/hooks`, { type: 'forgejo', active: true, events, config: hook }, 201)
    const rule = { rule_name: 'main', enable_status_check: true, status_check_contexts: ['gateway/validate'] }
    await stage.owner.ask('POST', `${stage.at}/branch_protections`, rule, 201)
  }, 3 * minutes)

  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await stage?.[Symbol.asyncDispose]()
    await site?.[Symbol.asyncDispose]()
  }, 2 * minutes)

  const rows = (sha: string, context: string) =>
    site.repo(stage.repository).statuses.filter((row) => row.sha === sha && row.context === context)
  const shown = (sha: string, context: string, state: string) =>
    until(`${context} of ${sha} is ${state}`, () => rows(sha, context).at(-1)?.state === state, minutes)
  const comments = (number: number) => site.repo(stage.repository).comments.filter((one) => one.number === number)
  const says = (number: number, text: string) =>
    until(`the comment says ${text}`, () => comments(number).some(({ body }) => body.includes(text)), minutes)
  const word = (token: string) => callSmall(`${gateway.endpoint}/mcp/wiki`, token, 'word')

  async function propose(branch: string): Promise<number> {
    await stage.push(branch)
    const asked = { title: 'Change', head: branch, base: 'main' }
    const { body } = await stage.alice.ask('POST', `${stage.at}/pulls`, asked, 201)
    return z.object({ number: z.number() }).parse(body).number
  }

  /** Merges as soon as the forge has looked whether it can; gives the commit that it became. */
  async function merge(number: number): Promise<string> {
    const at = `${stage.at}/pulls/${number}`
    await until('it is merged', async () => {
      const { status } = await stage.alice.ask('POST', `${at}/merge`, { Do: 'merge' })
      return status === 200
    })
    const { body } = await stage.alice.ask('GET', at, undefined, 200)
    return z.object({ merge_commit_sha: z.string() }).parse(body).merge_commit_sha
  }

  test(
    'is validated, put right, merged and deployed',
    async () => {
      const wrong = await stage.work.commit({
        'manifests/servers/wiki.yaml': 'description: a wiki\nprivileged: true\n',
      })
      const number = await propose('words')
      await shown(wrong, 'gateway/validate', 'failure')
      await says(number, '**Invalid**')
      const refused = await stage.alice.ask('POST', `${stage.at}/pulls/${number}/merge`, { Do: 'merge' }, 405)
      expect(refused.body).toMatchObject({ message: 'Not all required status checks successful' })
      const right = await stage.work.commit(smallServer('wiki', { word: 'two' }))
      await stage.push('words')
      await shown(right, 'gateway/validate', 'success')
      await says(number, '+/- wiki')
      expect(comments(number)).toHaveLength(1)
      expect(rows(right, 'gateway/validate').map(({ state }) => state)).toEqual(['pending', 'success'])
      const merged = await merge(number)
      expect(await gateway.becomes(merged)).toMatchObject({ phase: 'applied' })
      await shown(merged, 'gateway/deploy', 'success')
      expect(await word(alpha.token)).toBe('two')
    },
    3 * minutes,
  )

  test(
    'that widens access waits for others, also once it is merged',
    async () => {
      const head = await stage.work.commit({ 'manifests/permissions.yaml': permissions('[wiki]') })
      const number = await propose('widen')
      await says(number, `pull request ${number} needs 1 more approval by someone else than ${stage.alice.login}`)
      const { body } = comments(number)[0] ?? { body: '' }
      expect(body).toContain('+ beta gains wiki')
      expect(rows(head, 'gateway/validate').map(({ url }) => url)).toEqual(Array(2).fill(`${page}/pulls/${number}`))
      const told = await fetch(`${gateway.face}/pulls/${number}`)
      const { access, held, plan } = PullStatus.parse(await told.json())
      expect({ access, plan }).toEqual({ access: undefined, plan: ['0 to build, 0 to replace, 0 to remove'] })
      expect(held).toEqual([expect.stringContaining('beta gains wiki')])
      const authorization = `Bearer ${operator}`
      const whole = await fetch(`${gateway.face}/pulls/${number}`, { headers: { authorization } })
      expect(PullStatus.parse(await whole.json()).access?.gains).toEqual([expect.stringMatching(/^beta gains wiki/)])
      const merged = await merge(number)
      expect(await gateway.becomes(merged)).toMatchObject({ phase: 'held' })
      await expect(word(beta.token)).rejects.toThrow()
      expect(await word(alpha.token)).toBe('two')
      await stage.bob.ask('POST', `${stage.at}/pulls/${number}/reviews`, { event: 'APPROVED' }, 200)
      await until(
        'beta has it',
        () =>
          word(beta.token).then(
            (said) => said === 'two',
            () => false,
          ),
        minutes,
      )
      await shown(merged, 'gateway/deploy', 'success')
    },
    3 * minutes,
  )
})
