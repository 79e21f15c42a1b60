import { describe, expect, test } from 'vitest'
import { BuildFailed, generationKey } from '../../../controller/host.ts'
import { buildInputOf } from '../../support/build-input.ts'
import { generationOf, requestOf, specOf, stuckBefore } from '../../support/stage.ts'
import { brokenSource, witness } from '../../support/witness.ts'
import { made, type Stand, signal } from './stand.ts'

/** What images or folders a host makes, and when they go. */
export function buildingContract(stand: Stand): void {
  describe('building', () => {
    test('makes what is named after server and content, and again is nothing', async () => {
      const other = buildInputOf({ ...witness, 'note.txt': 'another' })
      await stand.host.build(requestOf('witness', other), signal)
      await stand.host.build(requestOf('witness', other), signal)
      expect((await stand.host.observe(signal)).built).toContain(generationKey('witness', other.input.hash))
    })

    test('counts for the server that asked, not for another with equal content', async () => {
      expect((await stand.host.observe(signal)).built).not.toContain(generationKey('twin', made.input.hash))
      await stand.host.build(requestOf('twin', made), signal)
      expect((await stand.host.observe(signal)).built).toContain(generationKey('twin', made.input.hash))
    })

    test('fails with the end of its output and leaves nothing', async () => {
      const broken = buildInputOf(brokenSource)
      const lines: string[] = []
      const request = { ...requestOf('broken', broken), log: (line: string) => void lines.push(line) }
      const failure = await stand.host.build(request, signal).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(BuildFailed)
      expect(failure).toHaveProperty('tail', expect.stringContaining('is not JSON'))
      expect(lines.join('\n')).toContain('is not JSON')
      expect((await stand.host.observe(signal)).built).not.toContain(generationKey('broken', broken.input.hash))
    })

    test('ends when it is no longer wanted, and leaves nothing', async () => {
      const endless = buildInputOf({ ...witness, 'note.txt': 'endless' })
      const ending = new AbortController()
      const request = { ...requestOf('endless', endless), entries: stuckBefore(endless, () => ending.abort()) }
      await expect(stand.host.build(request, ending.signal)).rejects.toThrow()
      expect((await stand.host.observe(signal)).built).not.toContain(generationKey('endless', endless.input.hash))
    })

    test('is undone when its server is forgotten, except where a generation stands on it', async () => {
      const leaving = buildInputOf({ ...witness, 'note.txt': 'leaving' })
      await stand.host.build(requestOf('leaving', leaving), signal)
      await stand.host.build(requestOf('leaving', made), signal)
      await stand.host.start(generationOf(made, { server: 'leaving', spec: specOf('leaving') }), signal)
      await stand.host.forget('leaving', signal)
      const { built } = await stand.host.observe(signal)
      expect(built).not.toContain(generationKey('leaving', leaving.input.hash))
      expect(built).toContain(generationKey('leaving', made.input.hash))
      expect(built).toContain(generationKey('witness', made.input.hash))
    })
  })
}
