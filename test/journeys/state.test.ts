import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type Load, startLoad } from '../support/load.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
const agents = { alpha: testToken(), beta: testToken() }

function permissions(beta: readonly string[]): Record<string, string> {
  const one = (name: 'alpha' | 'beta', servers: readonly string[]) =>
    `  ${name}:\n    token_hash: "${agents[name].hash}"\n    servers: ${JSON.stringify(servers)}\n`
  return { 'manifests/permissions.yaml': `agents:\n${one('alpha', ['*'])}${one('beta', beta)}` }
}

/** A gateway, and the repository that it follows. */
async function openGateway(files: Parameters<Repository['publish']>[0], env: Readonly<Record<string, string>> = {}) {
  const stack = new AsyncDisposableStack()
  try {
    const repository = stack.use(await createRepository())
    const head = await repository.publish(files)
    const gateway = stack.use(await startGateway('process', { GATEWAY_REPO: repository.bare, ...env }))
    return { repository, gateway, head, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function called({ endpoint }: Gateway, agent: keyof typeof agents, server: string, tool = 'word', args = {}) {
  return callSmall(`${endpoint}/mcp/${server}`, agents[agent].token, tool, args)
}

/** One call after the other, until told to stop. */
function keepCalling(call: () => Promise<unknown>): Load {
  return startLoad(async () => {
    await call()
    await new Promise((done) => setTimeout(done, 20))
  }, 2)
}

/** Nothing is being drained or stopped any more. */
async function settled(gateway: Gateway): Promise<void> {
  const isQuiet = async () => {
    const { attempted, servers } = await gateway.status()
    const quiet = servers.every(({ reason }) => reason === 'serves what the commit asks for')
    return attempted?.phase === 'applied' && quiet
  }
  await until('everything is as the commit says', isQuiet, minutes)
}

const journal = ['journal.db', 'journal.db-wal', 'journal.db-shm']

describe('a controller that lost its state', () => {
  let open: Awaited<ReturnType<typeof openGateway>>
  beforeAll(async () => {
    open = await openGateway({
      ...permissions(['plain', 'needy']),
      ...smallServer('plain', { word: 'plain' }),
      ...smallServer('needy', { word: 'needy', manifest: 'secrets: [KEY]' }),
    })
    await writeFile(join(open.gateway.state, 'secrets.env'), 'KEY=value\n')
    await settled(open.gateway)
  }, 2 * minutes)
  afterAll(() => open?.[Symbol.asyncDispose](), minutes)

  test.each([
    { lost: 'its journal', files: journal, replaced: [] },
    { lost: 'journal, mirror and key', files: [...journal, 'mirror.git', 'secrets.key'], replaced: ['needy'] },
  ])('without $lost goes on above the proxies, and replaces $replaced', { timeout: 2 * minutes }, async (row) => {
    const { gateway, repository } = open
    const { revision } = await gateway.status()
    const before = unitsOf(gateway.state)
    const load = keepCalling(async () => {
      expect(await called(gateway, 'alpha', 'plain')).toBe('plain')
      expect(await called(gateway, 'beta', 'needy')).toBe('needy')
    })

    await gateway.kill()
    for (const name of row.files) await rm(join(gateway.state, name), { recursive: true, force: true })
    await gateway.start()
    expect(await gateway.becomes(await repository.git('rev-parse', 'HEAD'))).toMatchObject({ phase: 'applied' })
    await until('the proxies have what is newer', async () => {
      const now = await gateway.status()
      return now.revision > revision && now.proxies.every(({ have }) => have === now.revision)
    })
    await settled(gateway)
    const gone = before.filter((unit) => !unitsOf(gateway.state).includes(unit))
    expect(gone.map((unit) => unit.split(' ')[0])).toEqual(row.replaced)
    expect(unitsOf(gateway.state)).toHaveLength(before.length)

    const taken = await repository.publish(permissions(['needy']), 'Take plain from beta')
    expect(await gateway.becomes(taken)).toMatchObject({
      phase: 'applied',
      plan: ['~   beta   loses plain', expect.anything()],
    })
    await expect(called(gateway, 'beta', 'plain')).rejects.toThrow('HTTP 404')
    const { calls, failures } = await load.stop()
    expect(failures).toEqual([])
    expect(calls).toBeGreaterThan(10)
    const given = await repository.publish(permissions(['plain', 'needy']), 'Give it back')
    expect(await gateway.becomes(given)).toMatchObject({ phase: 'applied' })
  })
})

test('a signed delivery makes a grant live where nobody polls', { timeout: 2 * minutes }, async () => {
  const files = { ...permissions([]), ...smallServer('plain', { word: 'plain' }) }
  await using open = await openGateway(files, { GATEWAY_POLL: '0 0 0 1 1 *' })
  const { gateway, repository } = open
  await gateway.becomes(open.head)
  await expect(called(gateway, 'beta', 'plain')).rejects.toThrow('HTTP 404')
  const head = await repository.publish(permissions(['plain']))
  expect((await fetch(`${gateway.face}/commits/${head}`)).status).toBe(404)
  expect(await gateway.deliver()).toBe(202)
  await until('the grant is live', () => called(gateway, 'beta', 'plain').catch(() => false), 10_000)
  expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
})

describe('a server with a volume', () => {
  let open: Awaited<ReturnType<typeof openGateway>>
  const small = (word: string, more: object = {}) =>
    smallServer('notes', { word, manifest: 'volumes: ["notes:/data"]', env: { NOTES: '/data' }, ...more })
  const notes = () => called(open.gateway, 'alpha', 'notes', 'notes')

  beforeAll(async () => {
    open = await openGateway({ ...permissions([]), ...small('one') })
    expect(await open.gateway.becomes(open.head)).toMatchObject({ phase: 'applied' })
    await called(open.gateway, 'alpha', 'notes', 'note', { text: 'by the first' })
  }, 2 * minutes)
  afterAll(() => open?.[Symbol.asyncDispose](), minutes)

  test('is replaced while calls wait for it, and finds what the one before has written', {
    timeout: 2 * minutes,
  }, async () => {
    const words = new Set<string>()
    const load = keepCalling(async () => words.add(await called(open.gateway, 'alpha', 'notes')))
    const became = await open.gateway.becomes(await open.repository.publish(small('two')))
    await settled(open.gateway)
    expect((await load.stop()).failures).toEqual([])
    expect(became).toMatchObject({ phase: 'applied', plan: ['-/+ notes   env.WORD changed', expect.anything()] })
    expect([...words]).toEqual(['one', 'two'])
    await called(open.gateway, 'alpha', 'notes', 'note', { text: 'by the second' })
    expect(await notes()).toBe('by the first\nby the second\n')
    expect(unitsOf(open.gateway.state).filter((unit) => unit.startsWith('notes'))).toHaveLength(1)
  })

  test('is back with all that it had when its successor does not come up, and no call has failed', {
    timeout: 2 * minutes,
  }, async () => {
    const load = keepCalling(async () => expect(await called(open.gateway, 'alpha', 'notes')).toBe('two'))
    const before = await notes()
    const broken = await open.repository.publish(small('three', { program: 'process.exit(3)' }))
    expect(await open.gateway.becomes(broken)).toMatchObject({
      phase: 'degraded',
      servers: { notes: { phase: 'stalled', reason: 'it stopped with exit code 3' } },
    })
    expect(await notes()).toBe(before)
    expect((await load.stop()).failures).toEqual([])
  })

  test('leaves its volume behind when it is removed, and finds it again when it comes back', {
    timeout: 2 * minutes,
  }, async () => {
    const gone = ['manifests/servers/notes.yaml', 'servers/notes/Dockerfile', 'servers/notes/main.mjs']
    const removed = await open.repository.publish(Object.fromEntries(gone.map((path) => [path, null])))
    expect(await open.gateway.becomes(removed)).toMatchObject({ phase: 'applied' })
    await until(
      'nothing of it runs',
      () => unitsOf(open.gateway.state).every((unit) => unit.startsWith('proxy')),
      minutes,
    )
    expect(await readdir(join(open.gateway.state, 'volumes'))).toHaveLength(1)
    expect(await open.gateway.becomes(await open.repository.publish(small('four')))).toMatchObject({ phase: 'applied' })
    expect(await notes()).toBe('by the first\nby the second\n')
  })
})
