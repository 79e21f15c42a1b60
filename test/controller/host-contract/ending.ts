import { describe, expect, test } from 'vitest'
import { buildInputOf } from '../../support/build-input.ts'
import { find, generationOf, requestOf, running } from '../../support/stage.ts'
import { witness } from '../../support/witness.ts'
import { made, type Stand, signal } from './stand.ts'

/** How a host ends what it started, and what stays. */
export function endingContract(stand: Stand): void {
  describe('ending', () => {
    test('says when it ended, and names a server of which only what it stood on is left', async () => {
      await stand.start() // of another server, from the same content
      await stand.host.build(requestOf('going', made), signal)
      const before = Date.now()
      const generation = generationOf(made, { server: 'going' })
      await stand.host.start(generation, signal)
      const unit = await find(stand.host, generation.spec)
      expect(unit.endedAt).toBeUndefined()
      expect((await stand.host.observe(signal)).left).not.toContain('going')
      await stand.host.stop(unit.id, signal)
      const { endedAt = 0 } = await find(stand.host, generation.spec)
      expect(endedAt).toBeGreaterThan(before - 1_000)
      expect(endedAt).toBeLessThan(Date.now() + 1_000)
      await stand.host.remove(unit.id, signal)
      expect((await stand.host.observe(signal)).left).toContain('going')
      await stand.host.forget('going', signal)
      expect((await stand.host.observe(signal)).left).not.toContain('going')
    })

    test('asks a server to end and keeps it to be resumed', async () => {
      const { id, spec, upstream } = await stand.start()
      await stand.host.stop(id, signal)
      expect(await find(stand.host, spec)).toMatchObject({ id, state: 'exited', exitCode: 0 })
      expect(await stand.host.logs(id, 10, signal)).toContain('SIGTERM seen')
      await expect(stand.fixture.fetchFromProxy(upstream)).rejects.toThrow()
      await stand.host.resume(id, signal)
      expect((await stand.start({ spec })).id).toBe(id)
    })

    test('starts what has ended again, also for a later commit', async () => {
      const { id, spec } = await stand.start({ env: { WHO: 'kept' } })
      await stand.host.stop(id, signal)
      expect(await stand.start({ spec, env: { WHO: 'kept' }, origin: 'decade' })).toMatchObject({ id, spec })
    })

    test('stops waiting when told to, and kills what does not end by itself', async () => {
      const { id, spec } = await stand.start({ env: { STUBBORN: '1' } })
      const ending = new AbortController()
      const stopping = stand.host.stop(id, ending.signal)
      await expect.poll(() => stand.host.logs(id, 10, signal)).toContain('SIGTERM seen')
      ending.abort()
      await expect(stopping).rejects.toThrow()
      await stand.host.stop(id, signal)
      expect((await find(stand.host, spec)).state).toBe('exited')
    })

    test('removes what has stopped, and what is gone is fine', async () => {
      const { id, spec } = await stand.start()
      await stand.host.stop(id, signal)
      await stand.host.stop(id, signal)
      await stand.host.remove(id, signal)
      expect((await stand.host.observe(signal)).generations.map((unit) => unit.spec)).not.toContain(spec)
      await stand.host.stop(id, signal)
      await stand.host.remove(id, signal)
    })

    test('starts under the same name again after a removal', async () => {
      const { id, spec, name } = await stand.start()
      await stand.host.stop(id, signal)
      await stand.host.remove(id, signal)
      expect((await stand.start({ spec })).name).toBe(name)
    })

    test('looks, builds and starts nothing for who has left', async () => {
      const left = AbortSignal.abort(new Error('left'))
      const unbuilt = buildInputOf({ ...witness, 'note.txt': 'left' })
      await expect(stand.host.observe(left)).rejects.toThrow()
      await expect(stand.host.build(requestOf('witness', unbuilt), left)).rejects.toThrow()
      await expect(stand.host.start(generationOf(made), left)).rejects.toThrow()
      expect(await running(stand.host)).toEqual([])
      for await (const _ of stand.host.changes(left)) expect.unreachable('a change after the end')
    })

    test('ends its telling of changes with the signal', async () => {
      const ending = new AbortController()
      const told = (async () => {
        for await (const _ of stand.host.changes(ending.signal)) await stand.host.observe(signal)
        return 'ended'
      })()
      await stand.start()
      ending.abort()
      expect(await told).toBe('ended')
    })
  })
}
