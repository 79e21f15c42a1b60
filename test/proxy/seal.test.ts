import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readSealKey } from '../../proxy/seal.ts'

test('proxies that start at once share one key, which nobody else may read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'seal-'))
  try {
    const keys = await Promise.all(Array.from({ length: 8 }, () => readSealKey(folder)))
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect(await readdir(folder)).toEqual(['seal.key'])
    expect((await stat(join(folder, 'seal.key'))).mode & 0o777).toBe(0o600)
  } finally {
    await rm(folder, { recursive: true })
  }
})
