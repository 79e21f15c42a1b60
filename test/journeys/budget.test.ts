import { afterAll, beforeAll, expect, test } from 'vitest'
import { post } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agent = testToken()
const permissions = {
  'manifests/permissions.yaml': `agents:\n  alpha:\n    token_hash: "${agent.hash}"\n    servers: ["*"]\n`,
}

let repository: Repository
let gateway: Gateway
beforeAll(async () => {
  repository = await createRepository()
  const limited = smallServer('s', { word: 'first', manifest: 'budget: { word: { calls: 2, per: day } }' })
  const head = await repository.publish({ ...limited, ...permissions })
  gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
  expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
}, 2 * minutes)
afterAll(async () => {
  await gateway?.[Symbol.asyncDispose]()
  await repository?.[Symbol.asyncDispose]()
}, 2 * minutes)

async function publish(manifest: string, word = 'first') {
  const head = await repository.publish(smallServer('s', { word, manifest }))
  await gateway.deliver()
  return gateway.becomes(head)
}

const call = () => callSmall(`${gateway.endpoint}/mcp/s`, agent.token, 'word')
const status = async () => (await gateway.status()).servers.find(({ name }) => name === 's')

async function refusal(): Promise<string> {
  const asked = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 's__word', arguments: {} } }
  const { status, body } = await post(`${gateway.endpoint}/mcp`, agent.token, asked)
  return `${status} ${JSON.stringify(body)}`
}

test('a commit’s budget holds through a replaced server, and another commit raises it', {
  timeout: 2 * minutes,
}, async () => {
  expect(await call()).toBe('first')
  await publish('budget: { word: { calls: 2, per: day } }', 'second')
  expect(await call()).toBe('second')
  expect(await refusal()).toMatch(/^200 .*The budget \\"word\\" of s is used up: 2 calls per day/)
  const told = await until('the status says so', async () => {
    const { budgets } = (await status()) ?? {}
    return budgets?.word?.used === 2 ? budgets.word : undefined
  })
  expect(told).toMatchObject({ calls: 2, per: 'day', resets: expect.stringMatching(/T00:00:00.000Z$/) })
  const metrics = await (await fetch(`${gateway.face}/metrics`)).text()
  expect(metrics).toContain('gateway_budget_used{server="s",budget="word"} 2')
  expect(await publish('budget: { word: { calls: 3, per: day } }', 'second')).toMatchObject({
    phase: 'applied',
    plan: [expect.stringContaining('budget changed'), expect.anything()],
  })
  expect(await call()).toBe('second')
  expect(await refusal()).toContain('3 calls per day')
})

test('a budget of a tool that its server lacks keeps it from serving', { timeout: 2 * minutes }, async () => {
  const became = await publish('start: 3s\nbudget: { words: { calls: 9, per: day } }', 'third')
  expect(became).toMatchObject({ phase: 'degraded', servers: { s: { phase: 'stalled' } } })
  expect(became.servers.s?.reason).toContain(
    'its budget "words" counts the tool "words", which it does not have (did you mean "word"?)',
  )
})
