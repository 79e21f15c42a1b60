import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Forge, openForge } from '../../controller/forge/client.ts'
import { ForgeDown, ForgeRefusal } from '../../controller/forge/fault.ts'
import { createCertificate } from '../support/certificate.ts'
import { type FaultProxy, type HttpFault, openFaultProxy } from '../support/fault-proxy.ts'
import { type FixtureForge, openFixtureForge } from '../support/forge.ts'
import { openStage, type Stage } from '../support/forge-stage.ts'
import { createLoopbackAnswer } from '../support/loopback-answer.ts'
import { portOf } from '../support/port.ts'

const limit = () => AbortSignal.timeout(10_000)
const token = () => stage.bot.token

let site: FixtureForge
let stage: Stage
let proxy: FaultProxy
let forge: Forge

beforeAll(async () => {
  site = await openFixtureForge()
  stage = await openStage(site)
  proxy = await openFaultProxy(site.url)
})
afterEach(async () => {
  proxy.fault = { kind: 'none' }
  await forge[Symbol.asyncDispose]()
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
  await site[Symbol.asyncDispose]()
})

function open(url = proxy.url): Forge {
  forge = openForge({ url, token: token(), repository: stage.repository, inherited: {} })
  return forge
}

async function faultOf(answer: Promise<unknown>): Promise<Error> {
  const error = await answer.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Error)) throw new Error('the forge was believed')
  return error
}

const html = { 'content-type': 'text/html' }
const json = { 'content-type': 'application/json' }

describe('a disturbed connection to the forge', () => {
  test.each<[string, HttpFault, string]>([
    ['500', { kind: 'answer', status: 500 }, 'answers GET pulls with 500'],
    ['502 with a page', { kind: 'answer', status: 502, headers: html, body: '<h1>' }, 'answers GET pulls with 502'],
    ['429', { kind: 'answer', status: 429 }, 'answers GET pulls with 429'],
    ['a reset', { kind: 'reset' }, 'does not answer'],
    ['half an answer', { kind: 'half' }, 'does not answer'],
    ['a page', { kind: 'answer', status: 200, headers: html, body: '<h1>' }, 'is GATEWAY_FORGE_URL that of a Forgejo?'],
    ['a page of 404', { kind: 'answer', status: 404, headers: html, body: '<h1>' }, 'with what is not JSON'],
    ['nothing', { kind: 'answer', status: 200, headers: json }, 'with what is not JSON'],
    ['other JSON', { kind: 'answer', status: 200, headers: json, body: '{}' }, 'otherwise than Forgejo'],
  ])("by %s is nobody's to put right, and passes", async (_name, fault, words) => {
    open()
    proxy.fault = fault
    const error = await faultOf(forge.openPulls(limit()))
    expect(error).toBeInstanceOf(ForgeDown)
    expect(error.message).toContain(words)
    expect(error.message).not.toContain(token())
    proxy.fault = { kind: 'none' }
    expect(await forge.openPulls(limit())).toEqual([])
  })

  test('by slowness is waited for', async () => {
    open()
    proxy.fault = { kind: 'slow', latency: 300 }
    expect(await forge.openPulls(limit())).toEqual([])
  })

  test('by silence ends with the signal, for its reason', async () => {
    open()
    proxy.fault = { kind: 'hang' }
    await expect(forge.openPulls(AbortSignal.timeout(100))).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('by nobody there is told in words', async () => {
    const error = await faultOf(open('http://127.0.0.1:1').openPulls(limit()))
    expect(error).toBeInstanceOf(ForgeDown)
    expect(error.message).toMatch(/^the forge does not answer: connect ECONNREFUSED/)
  })

  test.each([429, 503])('leaves a forge alone that asks for it with %d', async (status) => {
    open()
    proxy.fault = { kind: 'answer', status, headers: { 'retry-after': '1' } }
    await faultOf(forge.openPulls(limit()))
    proxy.fault = { kind: 'none' }
    const before = proxy.requests
    const error = await faultOf(forge.openPulls(limit()))
    expect(error).toMatchObject({ name: 'ForgeDown', wait: expect.any(Number) })
    expect(proxy.requests).toBe(before)
    await expect.poll(() => forge.openPulls(limit()).catch(() => 'not yet')).toEqual([])
  })

  test('takes the token nowhere else', async () => {
    await using elsewhere = await createLoopbackAnswer()
    open()
    proxy.fault = { kind: 'answer', status: 302, headers: { location: `${elsewhere.url}/api/v1/x` } }
    const error = await faultOf(forge.openPulls(limit()))
    expect(error).toBeInstanceOf(ForgeRefusal)
    expect(error.message).toContain(`sends on to ${elsewhere.url}`)
    expect(elsewhere.seen).toEqual([])
  })

  test.each([
    [401, 'does not know the token'],
    [403, 'needs the scope read:repository'],
    [404, 'may not see it'],
    [422, 'was refused (422 "no")'],
  ])("with %d is somebody's to put right", async (status, words) => {
    open()
    proxy.fault = { kind: 'answer', status, headers: json, body: '{"message":"no"}' }
    const error = await faultOf(forge.openPulls(limit()))
    expect(error).toBeInstanceOf(ForgeRefusal)
    expect(error.message).toContain(words)
  })

  test('over TLS trusts the CA that it is given, and no unknown one', async () => {
    const { key, cert } = createCertificate()
    const server = createTlsServer({ key, cert }, (_request, response) => response.end('{"version":"15.0.3"}'))
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const folder = await mkdtemp(join(tmpdir(), 'forge-ca-'))
    const caFile = join(folder, 'ca.pem')
    await writeFile(caFile, cert)
    const line = { url: `https://127.0.0.1:${portOf(server)}`, token: token(), repository: 'a/b', inherited: {} }
    try {
      await using trusting = openForge({ ...line, caFile })
      expect(await trusting.version(limit())).toBe('15.0.3')
      await using wary = openForge(line)
      expect((await faultOf(wary.version(limit()))).message).toContain('self-signed certificate')
      expect(() => openForge({ ...line, caFile: join(folder, 'none') })).toThrow(/^GATEWAY_CA_FILE: .* cannot be read/)
    } finally {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true })
    }
    open()
  })

  test('reads all pages of a list, by their numbers', async () => {
    open(site.url)
    await stage.work.publish({ 'README.md': 'x' })
    await stage.push('main')
    await stage.work.git('commit', '--quiet', '--allow-empty', '-m', 'change')
    await stage.push('change')
    for (let n = 0; n < 60; n++)
      await stage.alice.ask('POST', `${stage.at}/pulls`, { title: `${n}`, head: 'change', base: 'main' }, 201)
    const numbers = (await forge.openPulls(limit())).map(({ number }) => number)
    expect(new Set(numbers).size).toBe(60)
  })
})
