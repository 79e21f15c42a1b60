import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { typed } from '../support/cli.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage } from '../support/forge-stage.ts'
import { type Gateway, startGateway, testToken } from '../support/gateway.ts'
import { callSmall, smallServer } from '../support/small-server.ts'
import { unitsOf } from '../support/units.ts'
import { until } from '../support/until.ts'

const minutes = 60_000
vi.setConfig({ testTimeout: 2 * minutes, hookTimeout: 2 * minutes })
const agents = { alpha: testToken(), beta: testToken(), rescue: testToken() }
type Agent = keyof typeof agents

const lettingIn = (...names: readonly Agent[]) => {
  const lines = names.map((name) => `  ${name}: { token_hash: "${agents[name].hash}", servers: ["*"] }\n`)
  return names.length === 0 ? 'agents: {}\n' : `agents:\n${lines.join('')}`
}

describe('an operator who is locked out', () => {
  let machine: string
  let site: FixtureForge
  let stage: Stage
  let gateway: Gateway
  let squatter: Server

  beforeAll(async () => {
    machine = await mkdtemp(join(tmpdir(), 'gateway-machine-'))
    site = await openFixtureForge()
    stage = await openStage(site)
    await stage.work.commit({
      'manifests/gateway.yaml': 'bake: 0s\n',
      'manifests/permissions.yaml': lettingIn('alpha'),
      ...smallServer('wiki', { word: 'one' }),
    })
    await stage.push('main', stage.owner)
    gateway = await startGateway('process', {
      GATEWAY_REPO: stage.url,
      GATEWAY_GIT_TOKEN: stage.bot.token,
      GATEWAY_FORGE_URL: site.url,
      GATEWAY_FORGE_TOKEN: stage.bot.token,
      GATEWAY_BREAK_GLASS: join(machine, 'glass.yaml'),
    })
    expect(await gateway.becomes(await stage.work.git('rev-parse', 'HEAD'))).toMatchObject({ phase: 'applied' })
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    squatter?.close()
    await site?.[Symbol.asyncDispose]()
    await stage?.work[Symbol.asyncDispose]()
    await rm(machine, { recursive: true, force: true })
  })

  const word = (agent: Agent) =>
    callSmall(`${gateway.endpoint}/mcp/wiki`, agents[agent].token, 'word').catch((error: unknown) => String(error))
  const isIn = (agent: Agent) => until(`${agent} is let in`, async () => (await word(agent)) === 'one', minutes)

  test('(23) has every verb on the machine while forge, repository and proxy are gone, and every grant', async () => {
    await stage.work.commit({ 'manifests/permissions.yaml': lettingIn() })
    await stage.push('main', stage.owner)
    const head = await stage.work.git('rev-parse', 'HEAD')
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    expect(await word('alpha')).toContain('HTTP 401')
    await site[Symbol.asyncDispose]()
    await gateway.kill()
    const [proxy = ''] = unitsOf(gateway.state).filter((unit) => unit.startsWith('proxy '))
    process.kill(Number(proxy.replace('proxy ', '')), 'SIGKILL')
    squatter = createServer((socket) => socket.destroy())
    await until('its port is taken', () => listens(squatter, new URL(gateway.endpoint)))
    await gateway.start()

    const told = await until('all that is wrong is told', async () => {
      const text = await typed(gateway, 'status')
      return /^repository {2}/m.test(text) && /^forge {2}/m.test(text) && text.includes('GATEWAY_PROXY_LISTEN') && text
    })
    expect(told).toMatch(/^repository {2}.*cannot be reached/m)
    expect(told).toMatch(/^forge {2}.*the forge does not answer/m)
    expect(told).toMatch(/ not live +.* does not run: GATEWAY_PROXY_LISTEN: \S+ is in use by another program/)
    expect(told).not.toContain('put right')
    expect(told).toMatch(/^wiki +ready/m)
    expect(await typed(gateway, 'history')).toContain(head.slice(0, 12))
    expect(await typed(gateway, 'explain', 'wiki')).toContain('granted to')
    expect(await typed(gateway, 'logs', 'wiki')).toContain('says one')
    expect(await typed(gateway, 'suspend', 'wiki')).toBe('wiki: suspended\n')
    expect(await typed(gateway, 'resume', '--all')).toBe('all servers: resumed\n')
    expect(await typed(gateway, 'retry', 'wiki')).toBe('wiki is tried again\n')
  })

  test('(23) lets in by a file on the machine, while the repository is gone', async () => {
    await new Promise((done) => squatter.close(done))
    await until('the proxy is back', async () => /HTTP 401/.test(await word('rescue')), minutes)
    await writeFile(join(machine, 'glass.yaml'), lettingIn('rescue'))
    await isIn('rescue')
    expect(await word('alpha')).toContain('HTTP 401')
    expect((await gateway.status()).breakGlass).toEqual({ ok: true, reason: 'lets in rescue' })
  })

  test.each([
    ['folder', 'alpha'],
    ['bundle', 'beta'],
  ] as const)('(23) has access back within a minute of giving the repository as a %s', async (kind, agent) => {
    const { work } = stage
    const head = await work.commit({ 'manifests/permissions.yaml': lettingIn(agent) })
    const file = join(machine, 'repository.bundle')
    if (kind === 'bundle') await work.git('bundle', 'create', '--quiet', file, 'main')
    expect(await word(agent)).toContain('HTTP 401')
    const began = Date.now()
    await gateway.kill()
    const forge = { GATEWAY_FORGE_URL: '', GATEWAY_FORGE_TOKEN: '', GATEWAY_GIT_TOKEN: '' }
    await gateway.start({ GATEWAY_REPO: kind === 'bundle' ? file : work.work, ...forge })
    await isIn(agent)
    expect(Date.now() - began).toBeLessThan(minutes)
    expect(await gateway.becomes(head)).toMatchObject({ phase: 'applied' })
    expect((await gateway.status()).source).toMatchObject({ ok: true })
  })
})

function listens(server: Server, { hostname, port }: URL): Promise<boolean> {
  return new Promise((done) => {
    server.once('error', () => done(false))
    server.listen({ host: hostname, port: Number(port) }, () => done(true))
  })
}
