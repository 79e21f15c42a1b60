import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { checkoutFiles } from '../support/checkout.ts'
import { type Caller, callers } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type Midapi, openMidapi, picture } from '../support/midapi.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agents = { alpha: testToken(), beta: testToken() }
const path = 'manifests/servers/midjourney.yaml'

let fake: Midapi
let repository: Repository
let gateway: Gateway
let alpha: Caller
let beta: Caller
beforeAll(async () => {
  fake = await openMidapi()
  repository = await createRepository()
  const files = await checkoutFiles(path, 'servers/midjourney', 'servers/kit')
  const manifest = String(files[path]).replace(
    'MIDJOURNEY_STATE_DIR: /data',
    `MIDJOURNEY_STATE_DIR: /data, MIDJOURNEY_API_URL: "${fake.url}", MIDJOURNEY_POLL_MS: "300"`,
  )
  const lines = Object.entries(agents).map(
    ([name, { hash }]) => `  ${name}: { token_hash: "${hash}", servers: [midjourney] }\n`,
  )
  const head = await repository.publish({
    ...files,
    [path]: manifest,
    'manifests/permissions.yaml': `agents:\n${lines.join('')}`,
  })
  gateway = await startGateway('process', { GATEWAY_REPO: repository.bare })
  expect(await gateway.becomes(head)).toMatchObject({ phase: 'degraded' })
}, 5 * minutes)
afterAll(async () => {
  await alpha?.[Symbol.asyncDispose]()
  await beta?.[Symbol.asyncDispose]()
  await gateway?.[Symbol.asyncDispose]()
  await repository?.[Symbol.asyncDispose]()
  await fake?.[Symbol.asyncDispose]()
}, 2 * minutes)
beforeEach(() => {
  fake.begin = 'done'
})

async function openReader() {
  const client = new Client({ name: 'journey', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  const requestInit = { headers: { authorization: `Bearer ${agents.beta.token}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.endpoint}/mcp`), { requestInit }))
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() })
}

const own = async () => (await gateway.status()).servers.find(({ name }) => name === 'midjourney')
const draw = (caller: Caller, prompt: string) => caller.call('midjourney__generate_image', { prompt })

test('waits for its key, and serves once the secrets file has it', { timeout: 2 * minutes }, async () => {
  expect(await own()).toMatchObject({
    reason: expect.stringContaining('MIDJOURNEY_API_KEY is not in the secrets file'),
  })
  await writeFile(join(gateway.state, 'secrets.env'), `MIDJOURNEY_API_KEY=${fake.key}\n`)
  await until('it is ready', async () => (await own())?.phase === 'ready', minutes)
  alpha = await callers.v1(`${gateway.endpoint}/mcp`, agents.alpha.token)
  beta = await callers.v2(`${gateway.endpoint}/mcp`, agents.beta.token)
})

test('what the service refuses, and what fails at once, costs nothing of the day’s two tasks', async () => {
  for (const [caller, code] of [
    [alpha, 402],
    [beta, 455],
    [alpha, 429],
  ] as const) {
    fake.tricks.push({ code, msg: 'no' })
    await expect(draw(caller, `refused with ${code}`)).rejects.toThrow('it does not count')
  }
  fake.begin = 'failed'
  await expect(draw(beta, 'not allowed')).rejects.toThrow('The service could not draw it')
  await expect(draw(alpha, 'a cat --ar 99:1')).rejects.toThrow('give aspect_ratio instead')
})

test('two agents share the day’s two tasks, and the third is refused with the time at which they come back', async () => {
  const before = fake.tasks.size
  expect(await draw(alpha, 'a lighthouse')).toMatch(/Task mj_task_\d+/)
  fake.tricks.push('cut')
  expect(await draw(beta, 'a harbour')).toContain('so it counts')
  const midnight = new Date()
  midnight.setUTCHours(24, 0, 0, 0)
  const refusal = `The budget "images" of midjourney is used up: 2 calls per day, shared by all agents; it comes back at ${midnight.toISOString().replace('.000Z', 'Z')}`
  const id = `mj_task_${before + 1}`
  for (const caller of [alpha, beta]) {
    await expect(draw(caller, 'a third')).rejects.toThrow(refusal)
    await expect(caller.call('midjourney__vary_image', { task_id: id, index: 1 })).rejects.toThrow(refusal)
  }
  expect(fake.tasks.size).toBe(before + 2)
  expect(fake.asked.filter(({ body }) => body.prompt === 'a third')).toEqual([])
})

test('what was drawn is still there for all, and has a budget of its own to be enlarged', async () => {
  await using reader = await openReader()
  const [id = ''] = /mj_task_\d+(?= done: "a lighthouse")/.exec(await beta.call('midjourney__list_images', {})) ?? []
  expect(await beta.call('midjourney__get_image', { task_id: id, wait_seconds: 20 })).toMatch(/4\. .*kept here/)
  const { content } = await reader.callTool({ name: 'midjourney__get_image', arguments: { task_id: id } })
  const [link] = content.filter(({ type }) => type === 'resource_link')
  const { uri } = z.object({ uri: z.string() }).parse(link)
  const { contents } = await reader.readResource({ uri })
  expect(contents).toEqual([{ uri, mimeType: 'image/png', blob: picture(1).toString('base64') }])
  expect(await alpha.call('midjourney__upscale_image', { task_id: id, index: 1 })).toMatch(/Task mj_task_\d+/)
  await until('the status says what was used', async () => {
    const { images, enlargements } = (await own())?.budgets ?? {}
    return images?.used === 2 && enlargements?.used === 1
  })
})
