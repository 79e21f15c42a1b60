import { describe, expect, test } from 'vitest'
import type { StubAnswer } from '../../support/stub-product.ts'
import { type Stand, signal } from './stand.ts'

/** What stands between agents and servers. */
export function entranceContract(stand: Stand): void {
  describe('edge and proxy', () => {
    test('stand at the wanted address, once', async () => {
      await stand.host.startEdge(signal)
      await stand.host.startProxy(signal)
      const { edge, proxies } = await stand.host.observe(signal)
      expect(edge).toMatchObject({ state: 'running', address: stand.host.wantedFrom().address })
      expect(proxies).toMatchObject([{ state: 'running', spec: stand.host.wantedFrom().proxy }])
    })

    test('answer at the published address, with what a proxy needs in its environment', async () => {
      await expect.poll(() => askProxy().catch(String)).toMatchObject({ version: 'one' })
      const [proxy] = (await stand.host.observe(signal)).proxies
      expect((await askProxy()).env).toMatchObject({
        GATEWAY_PROXY_NAME: proxy?.name,
        GATEWAY_PROXY_LISTEN: expect.stringMatching(/:\d+$/),
        GATEWAY_TABLE_SOCKET: expect.stringMatching(/\/table\.sock$/),
        GATEWAY_PROXY_STATE: expect.stringMatching(/^\//),
      })
    })

    test('change to a newer proxy beside the old one', async () => {
      const newer = await stand.fixture.reopen('newer')
      expect(newer.wantedFrom().proxy).not.toBe(stand.host.wantedFrom().proxy)
      await newer.prepare(() => {}, signal)
      await newer.startProxy(signal)
      const both = (await stand.host.observe(signal)).proxies
      expect(both.map(({ state }) => state)).toEqual(['running', 'running'])
      await expect.poll(versionOf).toBe('two')
      await expect.poll(versionOf).toBe('one')
      await stopProxy(stand.host.wantedFrom().proxy)
      await expect.poll(versionOf).toBe('two')
      await stand.host.startProxy(signal)
      await expect.poll(versionOf).toBe('one')
      await stopProxy(newer.wantedFrom().proxy)
    })

    async function askProxy(): Promise<StubAnswer> {
      return JSON.parse(await (await fetch(stand.fixture.published)).text())
    }

    function versionOf(): Promise<string> {
      return askProxy().then(({ version }) => version, String)
    }

    async function stopProxy(spec: string): Promise<void> {
      const unit = (await stand.host.observe(signal)).proxies.find((proxy) => proxy.spec === spec)
      if (unit === undefined) throw new Error(`no proxy of spec ${spec}`)
      await stand.host.stop(unit.id, signal)
      await stand.host.remove(unit.id, signal)
    }
  })
}
