import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generationOf, running } from '../../support/stage.ts'
import { made, type Stand, signal } from './stand.ts'

/** What outlives a generation, and what the machine lends one. */
export function dataContract(stand: Stand): void {
  describe('data', () => {
    test('keeps a volume across a replacement', async () => {
      const data = { mounts: [{ kind: 'volume', source: 'data', target: '/data' }], env: { DATA: '/data' } } as const
      const old = await stand.start(data)
      expect(await stand.fixture.fetchFromProxy(`${old.upstream}/write?in=DATA&text=kept`)).toBe('written')
      await stand.host.stop(old.id, signal)
      await stand.host.remove(old.id, signal)
      const young = await stand.start(data)
      expect(await stand.fixture.fetchFromProxy(`${young.upstream}/read?in=DATA`)).toBe('kept')
    })

    describe('of the machine', () => {
      let folder: string
      const shown = () => ({
        mounts: [{ kind: 'folder', source: folder, target: '/offered' }] as const,
        env: { OFFERED: '/offered' },
      })

      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), 'gateway-mount-'))
        await chmod(folder, 0o755)
        await writeFile(join(folder, 'note'), 'offered', { mode: 0o644 })
      })
      afterAll(() => rm(folder, { recursive: true, force: true }))

      test('is shown to a server, read-only where the host can', async () => {
        const { upstream } = await stand.start(shown())
        expect(await stand.fixture.fetchFromProxy(`${upstream}/read?in=OFFERED`)).toBe('offered')
        if (!stand.fixture.mountsReadOnly) return
        expect(await stand.fixture.fetchFromProxy(`${upstream}/write?in=OFFERED&text=spoilt`)).toBe('EROFS')
      })

      test('is never made where it is absent', async () => {
        const absent = join(folder, 'absent')
        const mounts = [{ kind: 'folder', source: absent, target: '/offered' }] as const
        await expect(stand.host.start(generationOf(made, { mounts }), signal)).rejects.toThrow(absent)
        expect(await running(stand.host)).toEqual([])
        expect(existsSync(absent)).toBe(false)
      })
    })
  })
}
