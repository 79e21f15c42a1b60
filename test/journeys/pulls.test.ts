import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { PullStatus } from '#manifests/status.ts'
import { type Beside, openBeside, page } from '../support/forge-beside.ts'
import { testToken } from '../support/gateway.ts'
import { createKeys } from '../support/signing.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

// What of this needs a real Forgejo, and how to name one, is said in test/support/forge-beside.ts.

const minutes = 60_000
const limit = () => AbortSignal.timeout(30_000)
const alpha = testToken()
const beta = testToken()
const operator = randomBytes(24).toString('hex')

function permissions(servers: string): string {
  const agent = (name: string, hash: string, list: string) =>
    `  ${name}:\n    token_hash: "${hash}"\n    servers: ${list}\n`
  return `agents:\n${agent('alpha', alpha.hash, '[wiki]')}${agent('beta', beta.hash, servers)}`
}

describe('a pull request', () => {
  let beside: Beside

  beforeAll(async () => {
    const files = {
      'manifests/gateway.yaml': 'bake: 0s\ngovernance: { approvals: 1 }\n',
      'manifests/permissions.yaml': permissions('[]'),
      ...smallServer('wiki', { word: 'one' }),
    }
    beside = await openBeside(files, { GATEWAY_OPERATOR_TOKEN: operator })
    const { stage, gateway } = beside
    expect(await gateway.becomes(await stage.work.git('rev-parse', 'HEAD'))).toMatchObject({ phase: 'applied' })
    await beside.announce()
    const checked = { enable_status_check: true, status_check_contexts: ['gateway/validate'] }
    await stage.owner.ask('POST', `${stage.at}/branch_protections`, { rule_name: 'main', ...checked }, 201)
  }, 3 * minutes)

  afterAll(() => beside?.[Symbol.asyncDispose](), 2 * minutes)

  const word = (token: string) => callSmall(`${beside.gateway.endpoint}/mcp/wiki`, token, 'word')

  test('is validated, put right, merged and deployed', { timeout: 3 * minutes }, async () => {
    const { stage, becomesShown, becomesSaid } = beside
    const wrong = await stage.work.commit({ 'manifests/servers/wiki.yaml': 'description: a wiki\nprivileged: true\n' })
    const number = await beside.propose('words')
    await becomesShown(wrong, { 'gateway/validate': 'failure' })
    await becomesSaid(number, '**Invalid**')
    expect(await beside.merge(number)).toEqual({ status: 405, message: 'Not all required status checks successful' })
    const right = await stage.work.commit(smallServer('wiki', { word: 'two' }))
    await stage.push('words')
    await becomesShown(right, { 'gateway/validate': 'success' })
    expect(await becomesSaid(number, '+/- wiki')).toHaveLength(1)
    const merged = await beside.merged(number)
    expect(await beside.gateway.becomes(merged)).toMatchObject({ phase: 'applied' })
    await becomesShown(merged, { 'gateway/deploy': 'success' })
    expect(await word(alpha.token)).toBe('two')
  })

  test('that widens access waits for others, also once it is merged', { timeout: 3 * minutes }, async () => {
    const { stage, gateway, becomesShown, becomesSaid } = beside
    const head = await stage.work.commit({ 'manifests/permissions.yaml': permissions('[wiki]') })
    const number = await beside.propose('widen')
    const waits = `pull request ${number} needs 1 more approval by someone else than ${stage.alice.login}`
    expect(JSON.stringify(await becomesSaid(number, waits))).toContain('+ beta gains wiki')
    const statuses = await becomesShown(head, { 'gateway/validate': 'success' })
    expect(statuses.map(({ url }) => url)).toEqual([`${page}/pulls/${number}`])
    const told = async (headers = {}) =>
      PullStatus.parse(await (await fetch(`${gateway.face}/pulls/${number}`, { headers })).json())
    const { access, held, plan } = await told()
    expect({ access, plan }).toEqual({ access: undefined, plan: ['0 to build, 0 to replace, 0 to remove'] })
    expect(held).toEqual([expect.stringContaining('beta gains wiki')])
    expect((await told({ authorization: `Bearer ${operator}` })).access?.gains).toEqual([
      expect.stringMatching(/^beta gains wiki/),
    ])
    const merged = await beside.merged(number)
    expect(await gateway.becomes(merged)).toMatchObject({ phase: 'held' })
    await expect(word(beta.token)).rejects.toThrow()
    expect(await word(alpha.token)).toBe('two')
    await stage.bob.ask('POST', `${stage.at}/pulls/${number}/reviews`, { event: 'APPROVED', body: 'yes' }, 200)
    const says = (text: string) =>
      word(beta.token).then(
        (said) => said === text,
        () => false,
      )
    await until('beta has it', () => says('two'), minutes)
    await becomesShown(merged, { 'gateway/deploy': 'success' })
  })

  test('of a fork is validated in place, and told nothing of the machine', { timeout: 3 * minutes }, async () => {
    const { stage, forge, becomesShown, becomesSaid } = beside
    await stage.guest.ask('POST', `${stage.at}/forks`, {}, 202)
    const fork = stage.guest.remote.replace(stage.repository, `${stage.guest.login}/gateway-config`)
    const { 'manifests/servers/wiki.yaml': manifest = '' } = smallServer('wiki', { word: 'two' })
    const head = await stage.work.commit({ 'manifests/servers/wiki.yaml': `${manifest}secrets: [WIKI_KEY]\n` })
    await until('the fork is there', () =>
      stage.work.git('push', '--quiet', fork, 'HEAD:refs/heads/key').then(
        () => true,
        () => false,
      ),
    )
    const asked = { title: 'Key @root #1', head: `${stage.guest.login}:key`, base: 'main' }
    const { body } = await stage.guest.ask('POST', `${stage.at}/pulls`, asked, 201)
    const { number } = z.object({ number: z.number() }).parse(body)
    expect(await forge.openPulls(limit())).toMatchObject([{ number, head, fork: true }])
    await becomesShown(head, { 'gateway/validate': 'success' })
    const comments = await becomesSaid(number, 'server wiki gains the secret WIKI_KEY')
    expect(JSON.stringify(comments)).not.toContain('This machine lacks')
  })
})

describe('a pull request where commits must be signed', () => {
  test('(9) shows what will be held, which the merge then holds until it is approved', {
    timeout: 5 * minutes,
  }, async () => {
    await using keys = await createKeys()
    const signers = await keys.allow('signers', await keys.line('dev'))
    const files = { 'manifests/permissions.yaml': permissions('[]'), ...smallServer('wiki', { word: 'one' }) }
    await using beside = await openBeside(files, { GATEWAY_ALLOWED_SIGNERS: signers })
    const { stage, gateway, becomesShown, becomesSaid } = beside
    await keys.sign(stage.work, 'dev')
    await stage.work.git('commit', '--quiet', '--allow-empty', '-m', 'Vouch')
    await stage.push('main', stage.owner)
    const vouched = await stage.work.git('rev-parse', 'HEAD')
    expect(await gateway.becomes(vouched)).toMatchObject({ phase: 'applied' })
    await keys.sign(stage.work, undefined)
    const head = await stage.work.commit({ 'manifests/permissions.yaml': permissions('[wiki]') })
    const number = await beside.propose('unsigned')
    const [comment] = await becomesSaid(number, 'changes of one path that nobody signed who may')
    const [, plan = ''] = /gateway approve ([0-9a-f]{8})/.exec(comment?.body ?? '') ?? []
    const [status] = await becomesShown(head, { 'gateway/validate': 'success' })
    expect(status?.description).toBe('in part held until approved; 0 to build, 0 to replace, 0 to remove')
    const merged = await beside.merged(number)
    expect(await gateway.becomes(merged)).toMatchObject({ phase: 'held', held: [{ plan }] })
    await gateway.ask('POST', `/approve/${plan}`)
    await becomesShown(merged, { 'gateway/deploy': 'success', 'gateway/grants': 'success' })
    expect(await callSmall(`${gateway.endpoint}/mcp/wiki`, beta.token, 'word')).toBe('one')
  })
})
