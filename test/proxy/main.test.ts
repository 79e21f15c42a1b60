import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pack } from '#manifests/packed-table.ts'
import { openUpstream } from '../support/mcp-upstream.ts'
import { freePort } from '../support/port.ts'
import { agentWith, as, emptyTable, post, rpc, serverAt, wholeGrant } from '../support/proxy.ts'
import { openProxyProcess, spawnProxy } from '../support/proxy-process.ts'
import { openTableServer } from '../support/table-server.ts'
import { until } from '../support/until.ts'

let state: string
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'proxy-'))
})
afterEach(() => rm(state, { recursive: true, force: true }))

const health = async (url: string) => {
  const response = await fetch(`${url}/health`)
  return { status: response.status, body: JSON.parse(await response.text()) }
}

describe('a proxy process', () => {
  test('stops with one line for each wrong value of its environment', async () => {
    const { child, output } = spawnProxy({
      GATEWAY_PROXY_NAME: 'p',
      GATEWAY_PROXY_LISTEN: 'nowhere',
      GATEWAY_URL: 'ftp://x',
      GATEWAY_TABLE_SOCKET: 'x',
    })
    const [code] = await once(child, 'exit')
    expect(code).toBe(1)
    expect(output().trim().split('\n')).toEqual([
      'GATEWAY_PROXY_LISTEN: "nowhere" is not host:port with a port from 0 to 65535, such as 0.0.0.0:3100',
      "GATEWAY_TABLE_SOCKET: must be an absolute path of the controller's table socket",
      'GATEWAY_PROXY_STATE: missing; give the path of the folder that the proxies share',
      'GATEWAY_URL: must be a http or https URL',
    ])
  })

  test('lets nobody in before it has a table', async () => {
    await using proxy = await openProxyProcess({
      name: 'p',
      port: await freePort(),
      socket: join(state, 'absent'),
      state,
    })
    expect(await health(proxy.url)).toEqual({ status: 503, body: { status: 'starting' } })
    expect((await post(`${proxy.url}/mcp`, rpc('ping'), as('a'))).status).toBe(503)
  })

  test('takes a table, acknowledges it, probes its servers and reports what it sees', async () => {
    await using upstream = await openUpstream('v2')
    await using controller = await openTableServer()
    await using proxy = await openProxyProcess({ name: 'p', port: await freePort(), socket: controller.socket, state })
    const servers = { s: serverAt('s', upstream.origin) }
    controller.publish({ ...emptyTable, revision: 5, agents: { a: agentWith('a', { s: wholeGrant }) }, servers })
    const report = await until('three good answers', () => {
      const latest = controller.latest.get('p')
      return latest?.have === 5 && latest.generations[servers.s.generation]?.probe?.ok ? latest : undefined
    })
    expect(report.generations[servers.s.generation]).toMatchObject({
      calls: 0,
      sessions: 0,
      probe: { ok: true, era: 'modern', tools: expect.arrayContaining(['echo']) },
    })
    expect(await health(proxy.url)).toEqual({
      status: 200,
      body: { status: 'healthy', agents: 1, servers: 1, revision: 5 },
    })
    expect(
      (await post(`${proxy.url}/mcp`, rpc('tools/call', { name: 's__echo', arguments: { text: 'hi' } }), as('a'))).json
        .result.content[0].text,
    ).toBe('hi')
  })

  test('serves from its last table while the controller is away, also after a restart', async () => {
    await using upstream = await openUpstream('v2')
    const port = await freePort()
    let socket: string
    {
      await using controller = await openTableServer()
      socket = controller.socket
      await using proxy = await openProxyProcess({ name: 'p', port, socket, state })
      controller.publish({
        ...emptyTable,
        revision: 5,
        agents: { a: agentWith('a', { s: wholeGrant }) },
        servers: { s: serverAt('s', upstream.origin) },
      })
      await until('the table is acknowledged', () => controller.latest.get('p')?.have === 5)
      await controller.stop()
      expect((await post(`${proxy.url}/mcp`, rpc('ping'), as('a'))).status).toBe(200)
      await controller.start()
    }
    expect((await stat(join(state, 'table.json'))).mode & 0o777).toBe(0o600)
    await using proxy = await openProxyProcess({ name: 'q', port, socket, state })
    expect(
      (await post(`${proxy.url}/mcp/s`, rpc('tools/call', { name: 'echo', arguments: { text: 'hi' } }), as('a'))).json
        .result.content[0].text,
    ).toBe('hi')
  })

  test('goes on when the controller comes back, and hears of what it missed', async () => {
    await using controller = await openTableServer()
    await using _proxy = await openProxyProcess({ name: 'p', port: await freePort(), socket: controller.socket, state })
    controller.publish({ ...emptyTable, revision: 1 })
    await until('the first table', () => controller.latest.get('p')?.have === 1)
    await controller.stop()
    controller.publish({ ...emptyTable, revision: 2 })
    await controller.start()
    await until('the second table', () => controller.latest.get('p')?.have === 2)
  })

  test('never keeps an older table in the place of a newer one', async () => {
    await writeFile(join(state, 'table.json'), JSON.stringify(pack({ ...emptyTable, revision: 9 })))
    await using controller = await openTableServer()
    await using proxy = await openProxyProcess({ name: 'p', port: await freePort(), socket: controller.socket, state })
    controller.publish({ ...emptyTable, revision: 8 })
    await until('a report', () => controller.reports.length > 0)
    expect(controller.latest.get('p')?.have).toBe(9)
    expect((await health(proxy.url)).body.revision).toBe(9)
    expect(JSON.parse(await readFile(join(state, 'table.json'), 'utf8')).revision).toBe(9)
  })

  test('speaks up at once when a draining generation has become empty', async () => {
    await using old = await openUpstream('v1-stateless')
    await using next = await openUpstream('v2')
    await using controller = await openTableServer()
    await using proxy = await openProxyProcess({ name: 'p', port: await freePort(), socket: controller.socket, state })
    const agents = { a: agentWith('a', { s: wholeGrant }) }
    const before = serverAt('s', old.origin)
    controller.publish({ ...emptyTable, revision: 1, agents, servers: { s: before } })
    await until('the first table', () => controller.latest.get('p')?.have === 1)
    const slow = post(`${proxy.url}/mcp/s`, rpc('tools/call', { name: 'pause' }), as('a'))
    await until('the call is on its way', () => old.seen.some(({ body }) => body.includes('"pause"')))
    const draining = [{ generation: before.generation, server: 's', upstream: old.origin, path: '/mcp' }]
    controller.publish({ ...emptyTable, revision: 2, agents, servers: { s: serverAt('s', next.origin) }, draining })
    const calls = () => controller.latest.get('p')?.generations[before.generation]?.calls
    await until('the call is reported', () => controller.latest.get('p')?.have === 2 && calls() === 1)
    old.release()
    expect((await slow).status).toBe(200)
    await until('its end is reported', () => calls() === 0)
  })

  test('says so in one line when its address is taken', async () => {
    await using first = await openUpstream('v2')
    const { child, output } = spawnProxy({
      GATEWAY_PROXY_NAME: 'p',
      GATEWAY_PROXY_LISTEN: first.origin.replace('http://', ''),
      GATEWAY_TABLE_SOCKET: join(state, 'absent'),
      GATEWAY_PROXY_STATE: state,
    })
    const [code] = await once(child, 'exit')
    expect(code).toBe(1)
    expect(output().trim()).toMatch(/^GATEWAY_PROXY_LISTEN: 127\.0\.0\.1:\d+ is already in use.*$/)
  })
})
