import { describe, expect, test } from 'vitest'
import { unitName } from '../../../controller/host.ts'
import { crashOf, find, specOf } from '../../support/stage.ts'
import { made, type Stand, signal } from './stand.ts'

/** What a host says of what there is. */
export function lookingContract(stand: Stand): void {
  describe('looking', () => {
    test('sees nothing at first', async () => {
      const empty = await stand.open()
      try {
        const { generations, proxies, built } = await empty.host.observe(signal)
        expect({ generations, proxies, built: [...built] }).toEqual({ generations: [], proxies: [], built: [] })
      } finally {
        await empty.close()
      }
    })

    test('says what a running generation is', async () => {
      const unit = await stand.start({ spec: specOf('looked at') })
      expect(unit).toMatchObject({
        name: unitName(stand.fixture.instance, 'witness', specOf('looked at')),
        state: 'running',
        server: 'witness',
        spec: specOf('looked at'),
        context: made.input.hash,
        origin: 'c0ffee',
        restarts: 0,
      })
      expect(unit.startedAt).toBeGreaterThan(0)
    })

    test('sees the same through another host on the same instance', async () => {
      await stand.start()
      const other = await stand.fixture.reopen()
      expect(await other.observe(signal)).toEqual(await stand.host.observe(signal))
      expect(other.wantedFrom()).toEqual(stand.host.wantedFrom())
    })

    test('sees a crash: the exit code, or that the host restarted it', async () => {
      const { spec, upstream } = await stand.start()
      await stand.fixture.fetchFromProxy(`${upstream}/exit?code=7`).catch(() => {})
      await expect.poll(async () => crashOf(await find(stand.host, spec))).toBe('crashed')
      const unit = await find(stand.host, spec)
      if (unit.restarts === 0) expect(unit).toMatchObject({ state: 'exited', exitCode: 7 })
      if (unit.state === 'exited') expect(unit.upstream).toBeUndefined()
    })

    test('tells of a kill from outside', async () => {
      const { spec, upstream } = await stand.start()
      const ending = new AbortController()
      const told = (async () => {
        for await (const _ of stand.host.changes(ending.signal))
          if (crashOf(await find(stand.host, spec)) === 'crashed') return 'told'
        return 'ended'
      })()
      await stand.fixture.fetchFromProxy(`${upstream}/kill`).catch(() => {})
      expect(await told).toBe('told')
      ending.abort()
    })
  })
}
