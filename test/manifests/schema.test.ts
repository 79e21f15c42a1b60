import { readFile } from 'node:fs/promises'
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { describe, expect, test } from 'vitest'
import { generated, jsonSchema } from '#manifests/reference.ts'
import { documents } from '#manifests/spec.ts'

const root = new URL('../../', import.meta.url)

describe('what is generated from the schemas', () => {
  test.each(Object.entries(generated()))('is current: %s (npm run schema)', async (path, text) => {
    expect(await readFile(new URL(path, root), 'utf8')).toBe(text)
  })

  test('describes every key', () => {
    const reference = generated()['docs/manifests.md']
    const rows = reference?.split('\n').filter((line) => line.startsWith('| `')) ?? []
    expect(rows.length).toBeGreaterThan(50)
    for (const row of rows) expect(row).toMatch(/^\| `[^`]+` \| [^|]+ \| [^|]* \| [^|]{5,} \|$/)
  })
})

describe('an editor', () => {
  const ajv = new Ajv({ strict: false })
  formats.default(ajv)

  test.each<readonly [keyof typeof documents, unknown, boolean]>([
    ['server', {}, true],
    ['server', { build: 'servers/a', start: '60s', limits: { memory: '1g' }, secrets: ['A', { B: 'C' }] }, true],
    ['server', { url: 'http://wiki.lan/mcp', description: 'x' }, true],
    ['server', { environment: {} }, false],
    ['server', { start: '60' }, false],
    ['server', { env: { 'A=B': 'c' } }, false],
    ['permissions', { agents: {} }, true],
    ['permissions', { agents: { a: { token_hash: `sha256:${'a1'.repeat(32)}`, servers: ['*', { b: ['c'] }] } } }, true],
    ['permissions', { agents: { a: { token_hash: 'x', servers: [] } } }, false],
    ['permissions', {}, false],
    ['gateway', {}, true],
    ['gateway', { proxi: {} }, false],
  ])('sees by %s’s JSON Schema that %j is right: %j', (name, value, right) => {
    expect(ajv.validate(jsonSchema(name), value)).toBe(right)
    expect(documents[name].schema.safeParse(value).success).toBe(right)
  })
})
