import { describe, expect, test } from 'vitest'
import { buildInputOf } from '../../support/build-input.ts'
import { crashOf, find, generationOf, running, specOf } from '../../support/stage.ts'
import { witness } from '../../support/witness.ts'
import { made, type Stand, signal } from './stand.ts'

/** What a host starts, and what it hands on. */
export function runningContract(stand: Stand): void {
  describe('running', () => {
    test('starts a generation once, however often it is asked', async () => {
      const first = await stand.start({ spec: specOf('once') })
      const again = await stand.start({ spec: specOf('once') })
      expect(again).toEqual(first)
      expect((await stand.host.observe(signal)).generations).toHaveLength(1)
    })

    test('runs two generations of a server side by side', async () => {
      const old = await stand.start({ env: { WHO: 'old' } })
      const young = await stand.start({ env: { WHO: 'young' } })
      expect(await envOf(old.upstream)).toMatchObject({ WHO: 'old' })
      expect(await envOf(young.upstream)).toMatchObject({ WHO: 'young' })
    })

    test('hands on the environment with PORT and HOST', async () => {
      const { upstream } = await stand.start({ env: { PLAIN: 'yes', QUOTED: `"a" 'b' $HOME\nsecond line`, EMPTY: '' } })
      const env = await envOf(upstream)
      expect(env).toMatchObject({ PLAIN: 'yes', QUOTED: `"a" 'b' $HOME\nsecond line`, EMPTY: '' })
      expect(env).toHaveProperty('PORT', expect.stringMatching(/^\d+$/))
      expect(env).toHaveProperty('HOST', expect.stringMatching(/^[\d.]+$/))
    })

    test('does not start what was never built', async () => {
      const unbuilt = buildInputOf({ ...witness, 'note.txt': 'unbuilt' })
      await expect(stand.host.start(generationOf(unbuilt), signal)).rejects.toThrow()
      expect(await running(stand.host)).toEqual([])
    })

    test('keeps what a server prints, also after it ended', async () => {
      const { id, spec, upstream } = await stand.start()
      await expect.poll(() => stand.host.logs(id, 10, signal)).toContain('listening')
      await stand.fixture.fetchFromProxy(`${upstream}/exit?code=0`).catch(() => {})
      await expect.poll(async () => crashOf(await find(stand.host, spec))).toBe('crashed')
      expect(await stand.host.logs(id, 10, signal)).toContain('listening')
    })

    test('keeps why a server could not start', async () => {
      const generation = generationOf(made, { command: ['node', 'absent.mjs'] })
      await stand.host.start(generation, signal)
      const { id } = await find(stand.host, generation.spec)
      await expect.poll(() => stand.host.logs(id, 30, signal)).toContain('absent.mjs')
    })

    async function envOf(upstream: string): Promise<unknown> {
      return JSON.parse(await stand.fixture.fetchFromProxy(`${upstream}/env`))
    }
  })
}
