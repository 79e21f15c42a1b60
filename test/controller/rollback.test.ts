import { rename } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { typed } from '../support/cli.ts'
import { post } from '../support/clients.ts'
import { startGateway, testToken } from '../support/gateway.ts'
import { baseImage, suite } from '../support/machine.ts'
import { createRepository } from '../support/repository.ts'
import type { Runtime } from '../support/setting.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { until } from '../support/until.ts'

const limit = 240_000

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

async function goesBack(runtime: Runtime): Promise<void> {
  const [ann, bob] = [testToken(), testToken()]
  const agent = (hash: string) => `{ token_hash: "${hash}", servers: ["*"] }`
  const dockerfile = `FROM ${baseImage}\nWORKDIR /app\nCOPY main.mjs .\n`
  await using repository = await createRepository()
  const first = await repository.publish({
    ...smallServer('words', { word: 'one' }),
    ...(runtime === 'docker' ? { 'servers/words/Dockerfile': dockerfile } : {}),
    'manifests/gateway.yaml': 'bake: 0s\n',
    'manifests/permissions.yaml': `agents:\n  ann: ${agent(ann.hash)}\n  bob: ${agent(bob.hash)}\n`,
  })
  await using controlled = await startGateway(runtime, { GATEWAY_REPO: repository.bare })
  const word = () => callSmall(`${controlled.endpoint}/mcp/words`, ann.token, 'word').catch(() => 'nothing')
  expect((await controlled.becomes(first)).phase).toBe('applied')
  const { 'manifests/servers/words.yaml': manifest = null } = smallServer('words', { word: 'two' })
  const second = await repository.publish({
    'manifests/servers/words.yaml': manifest,
    'manifests/permissions.yaml': `agents:\n  ann: ${agent(ann.hash)}\n`,
  })
  await controlled.becomes(second)
  expect(await word()).toBe('two')
  await until('what served before is kept', async () =>
    (await typed(controlled, 'explain', 'words')).includes('exited'),
  )

  // The repository is gone, and the verbs work all the same.
  await rename(repository.bare, `${repository.bare}.away`)
  expect(await typed(controlled, 'rollback', 'words')).toContain(`goes back to ${first.slice(0, 12)}`)
  await until('the kept generation serves', async () => (await word()) === 'one', 60_000)
  const refused = await post(`${controlled.endpoint}/mcp/words`, bob.token, list)
  expect(refused.status).toBe(401)
  const { servers } = await controlled.status()
  expect(servers[0]).toMatchObject({ name: 'words', pinned: true, commit: first })
  expect(await typed(controlled, 'suspend', '--all')).toContain('all servers: suspended')
  expect(await typed(controlled, 'resume', 'words').catch(({ stderr }) => stderr)).toContain('resumed')
  await rename(`${repository.bare}.away`, repository.bare)
}

describe('a rollback on the process host', () => {
  test(
    '(7) (23) is the kept generation at once, without the repository, and gives no grant back',
    { timeout: limit },
    () => goesBack('process'),
  )
})

suite('a rollback on the Docker engine', ['docker', 'product'], () => {
  test(
    '(7) (23) is the kept generation at once, without the repository, and gives no grant back',
    { timeout: limit },
    () => goesBack('docker'),
  )
})
