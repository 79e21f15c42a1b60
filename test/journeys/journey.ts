import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkoutFiles } from '../support/checkout.ts'
import { callers, openStream, post } from '../support/clients.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { type GitServer, serveGit } from '../support/git-server.ts'
import { startLoad } from '../support/load.ts'
import { createRepository, type Repository } from '../support/repository.ts'
import type { Runtime } from '../support/setting.ts'

/** What runs on a host, by identity: container or process. */
export type Units = () => Promise<readonly string[]>

const agents = { alpha: testToken(), beta: testToken() }
const minutes = 60_000

function permissions(beta: readonly string[] | undefined): string {
  const one = (name: string, hash: string, servers: readonly string[]) =>
    `  ${name}:\n    token_hash: "${hash}"\n    servers: [${servers.map((server) => JSON.stringify(server)).join(', ')}]\n`
  const second = beta === undefined ? '' : one('beta', agents.beta.hash, beta)
  return `agents:\n${one('alpha', agents.alpha.hash, ['*'])}${second}`
}

function pathsOf(server: string): readonly string[] {
  return [`manifests/servers/${server}.yaml`, `servers/${server}`]
}

/** The main job from end to end, told once for every host. */
export function journey(runtime: Runtime, unitsOf: (gateway: Gateway) => Units): void {
  describe('a commit deploys, a token calls', () => {
    let repository: Repository
    let git: GitServer
    let gateway: Gateway
    let units: Units

    beforeAll(async () => {
      repository = await createRepository()
      git = await serveGit(repository.bare, { token: testToken().token })
      await repository.publish({
        'manifests/permissions.yaml': permissions(['5etools']),
        ...(await checkoutFiles(...['5etools', 'mermaid'].flatMap(pathsOf), 'servers/kit')),
      })
      gateway = await startGateway(runtime, { GATEWAY_REPO: git.url, GATEWAY_GIT_TOKEN: git.token ?? '' })
      units = unitsOf(gateway)
    }, 2 * minutes)

    afterAll(async () => {
      await gateway?.[Symbol.asyncDispose]()
      await git?.[Symbol.asyncDispose]()
      await repository?.[Symbol.asyncDispose]()
    }, 2 * minutes)

    const joint = () => `${gateway.endpoint}/mcp`
    const only = (server: string) => `${gateway.endpoint}/mcp/${server}`
    const publish = (changes: Parameters<Repository['publish']>[0], message: string) =>
      repository.publish(changes, message)
    const search = { name: 'search', arguments: { query: 'fireball' } }
    const call = (params: unknown = search) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })

    test('builds and starts both servers from an unchanged checkout', { timeout: 10 * minutes }, async () => {
      const head = await repository.git('rev-parse', 'HEAD')
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied', errors: [], servers: {} })
      const { servers } = await gateway.status()
      expect(servers.map(({ name, phase }) => [name, phase])).toEqual([
        ['5etools', 'ready'],
        ['mermaid', 'ready'],
      ])
    })

    test.for(['v1', 'v2', 'curl'] as const)(
      '%s lists and calls tools of both, on the joint and on each endpoint',
      { timeout: minutes },
      async (kind) => {
        const { token } = agents.alpha
        await using all = await callers[kind](joint(), token)
        expect(await all.tools()).toEqual(expect.arrayContaining(['_5etools__search', 'mermaid__render_diagram']))
        expect(await all.call('_5etools__search', { query: 'fireball' })).toMatch(/fireball/i)
        expect(await all.call('mermaid__render_diagram', { code: 'flowchart LR\n a --> b' })).toContain('[image]')
        await using books = await callers[kind](only('5etools'), token)
        expect(await books.tools()).toContain('search')
        expect(await books.call('search', { query: 'fireball' })).toMatch(/fireball/i)
        await using drawings = await callers[kind](only('mermaid'), token)
        expect(await drawings.call('render_diagram', { code: 'pie\n "a": 1' })).toContain('[image]')
      },
    )

    test('answers the bare call of the old documentation with and without a trailing slash', async () => {
      for (const url of [joint(), `${joint()}/`, only('5etools'), `${only('5etools')}/`])
        expect(await post(url, agents.alpha.token, { jsonrpc: '2.0', id: 1, method: 'tools/list' })).toMatchObject({
          status: 200,
          body: { id: 1, result: { tools: expect.any(Array) } },
        })
    })

    test('tells its health without a token', async () => {
      const health = await (await fetch(`${gateway.endpoint}/health`)).json()
      expect(health).toMatchObject({ status: 'healthy', agents: 2, servers: 2 })
    })

    test('shows an agent nothing of a server that it was not granted', async () => {
      const { token } = agents.beta
      await using caller = await callers.v1(joint(), token)
      expect((await caller.tools()).filter((name) => !name.startsWith('_5etools__'))).toEqual([])
      const ungranted = await post(only('mermaid'), token, call())
      expect(ungranted).toEqual(await post(only('nowhere'), token, call()))
      expect(ungranted.status).toBe(404)
    })

    test('(4) replaces one server under load: one build, no failed call, the other untouched', {
      timeout: 5 * minutes,
    }, async () => {
      const before = await units()
      const load = startLoad(async () => {
        const { status, body } = await post(only('5etools'), agents.alpha.token, call())
        if (status !== 200 || JSON.stringify(body).match(/"isError":true|"error":/))
          throw new Error(`${status} ${JSON.stringify(body)}`)
      })
      const changed = await appended('servers/5etools/main.ts', '\n// replaced\n')
      const head = await publish(changed, 'Change one server')
      const became = await gateway.becomes(head)
      const { calls, failures } = await load.stop()
      expect(became.plan.join('\n')).toContain('build input changed: servers/5etools/main.ts')
      expect(became.plan.at(-1)).toMatch(/^1 to build, 1 to replace, 0 to remove/)
      expect(failures).toEqual([])
      expect(calls).toBeGreaterThan(20)
      expect(became.phase).toBe('applied')
      await settled()
      const after = await units()
      expect(after.filter((unit) => before.includes(unit) && unit.startsWith('mermaid'))).toHaveLength(1)
      expect(after.filter((unit) => !before.includes(unit)).map((unit) => unit.split(' ')[0])).toEqual(['5etools'])
    })

    test('gives a grant without touching a container', async () => {
      const before = await units()
      const head = await publish({ 'manifests/permissions.yaml': permissions(['5etools', 'mermaid']) }, 'Grant mermaid')
      expect(await gateway.deliver()).toBe(202)
      expect(await gateway.becomes(head)).toMatchObject({
        phase: 'applied',
        plan: ['~   beta   gains mermaid', '0 to build, 0 to replace, 0 to remove, 1 grant added'],
      })
      await using caller = await callers.v2(joint(), agents.beta.token)
      expect(await caller.tools()).toContain('mermaid__render_diagram')
      expect(await units()).toEqual(before)
    })

    test('takes a grant away: the next call finds nothing, an open stream ends', { timeout: minutes }, async () => {
      const stream = await openStream(only('mermaid'), agents.beta.token)
      const head = await publish({ 'manifests/permissions.yaml': permissions(['5etools']) }, 'Revoke mermaid')
      await gateway.deliver()
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
      expect((await post(only('mermaid'), agents.beta.token, call())).status).toBe(404)
      expect(
        await post(joint(), agents.beta.token, call({ ...search, name: 'mermaid__render_diagram' })),
      ).toMatchObject({
        status: 200,
        body: { error: { code: -32602 } },
      })
      expect(await stream.ended).toBe('ended')
    })

    test('takes an agent away: its token is refused, and the answer names the file', async () => {
      const head = await publish({ 'manifests/permissions.yaml': permissions(undefined) }, 'Remove beta')
      await gateway.deliver()
      await gateway.becomes(head)
      const refused = await post(joint(), agents.beta.token, call())
      expect(refused.status).toBe(401)
      expect(JSON.stringify(refused.body)).toContain('manifests/permissions.yaml')
    })

    test('rejects a broken manifest with file and line, and serves on', async () => {
      const before = await units()
      const broken = 'description: no kind of origin\nimagee: x\n'
      const head = await publish({ 'manifests/servers/broken.yaml': broken }, 'Break a manifest')
      const became = await gateway.becomes(head)
      expect(became.phase).toBe('rejected')
      expect(became.errors.join('\n')).toContain('manifests/servers/broken.yaml:2:1')
      expect((await post(only('5etools'), agents.alpha.token, call())).status).toBe(200)
      expect(await units()).toEqual(before)
      const mended = await publish({ 'manifests/servers/broken.yaml': null }, 'Mend it')
      expect(await gateway.becomes(mended)).toMatchObject({ phase: 'applied' })
    })

    test('converges after the controller was killed in the middle of a replacement', {
      timeout: 5 * minutes,
    }, async () => {
      const load = startLoad(async () => {
        const { status } = await post(only('5etools'), agents.alpha.token, call())
        if (status !== 200) throw new Error(`${status}`)
      }, 2)
      const head = await publish(await appended('servers/5etools/main.ts', '\n// and again\n'), 'Change it again')
      await expect.poll(() => phaseOf('5etools'), { timeout: 2 * minutes, interval: 20 }).toBe('deploying')
      await gateway.kill()
      await gateway.start()
      expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
      const generations = async () => (await units()).filter((unit) => unit.startsWith('5etools')).length
      await expect.poll(generations, { timeout: 2 * minutes }).toBe(1)
      const { failures } = await load.stop()
      expect(failures).toEqual([])
    })

    async function phaseOf(server: string): Promise<string | undefined> {
      return (await gateway.status()).servers.find(({ name }) => name === server)?.phase
    }

    /** Nothing is being drained or stopped any more. */
    async function settled(): Promise<void> {
      const reasons = async () => (await gateway.status()).servers.map(({ reason }) => reason)
      await expect
        .poll(reasons, { timeout: 2 * minutes })
        .toEqual(expect.not.arrayContaining([expect.stringMatching(/drain|stop|wait|queue/)]))
    }

    async function appended(path: string, text: string): Promise<Record<string, string>> {
      return { [path]: (await readFile(join(repository.work, path), 'utf8')) + text }
    }
  })
}
