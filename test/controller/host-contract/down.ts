import { describe, expect, test } from 'vitest'
import { find, generationOf } from '../../support/stage.ts'
import { type Fixture, made, makeReady, type Stand, signal } from './stand.ts'

/** How all of an instance goes. */
export function downContract(stand: Stand): void {
  describe('down', () => {
    test('removes everything, but volumes only if asked', async () => {
      const own = await stand.open()
      try {
        expect(await lifeOf(own, 'write?in=DATA&text=kept')).toBe('written')
        await own.host.down({ volumes: false }, signal)
        const { generations, proxies, built } = await own.host.observe(signal)
        expect({ generations, proxies, built: [...built] }).toEqual({ generations: [], proxies: [], built: [] })
        expect(await lifeOf(own, 'read?in=DATA')).toBe('kept')
        await own.host.down({ volumes: true }, signal)
        expect(await lifeOf(own, 'read?in=DATA')).toBe('ENOENT')
      } finally {
        await own.close()
      }
    })

    /** Brings an instance up with one server that has a volume, and asks that server once. */
    async function lifeOf({ host, fetchFromProxy }: Fixture, path: string): Promise<string> {
      await makeReady(host)
      const mounts = [{ kind: 'volume', source: 'data', target: '/data' }] as const
      const generation = generationOf(made, { mounts, env: { DATA: '/data' } })
      await host.start(generation, signal)
      const { upstream } = await find(host, generation.spec)
      await expect.poll(() => fetchFromProxy(`${upstream}/`).catch(String)).toBe('here')
      return fetchFromProxy(`${upstream}/${path}`)
    }
  })
}
