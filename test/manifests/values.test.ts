import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { HttpPath, ImageRef, OutsideUrl } from '#manifests/address.ts'
import { Prefix, ServerName } from '#manifests/name.ts'
import { duration, Memory } from '#manifests/quantity.ts'
import { ContainerPath, VolumeSpec } from '#manifests/volume.ts'

const takes = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success

describe('a value', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['60s', 60_000],
    ['10m', 600_000],
    ['1m30s', 90_000],
    ['1h1m1s1ms', 3_661_001],
    ['24h', 86_400_000],
  ])('%s is %i ms', (text, ms) => {
    expect(duration(0).parse(text)).toBe(ms)
  })

  test.each(['', 's', '60', '-1s', '1.5s', '1s1m', ' 1s', '1d', '25h', '1s\n'])('%j is no time', (text) => {
    expect(takes(duration(0), text)).toBe(false)
  })

  test.each([
    ['6m', 6_291_456],
    ['512m', 536_870_912],
    ['512mb', 536_870_912],
    ['1g', 1_073_741_824],
    [536_870_912, 536_870_912],
  ])('%s is %i bytes', (text, bytes) => {
    expect(Memory.parse(text)).toBe(bytes)
  })

  test.each(['', '512', '1t', '-1g', '1.5g', '5m', 0, -1, 1e300, '1g\n'])('%j is no amount of memory', (text) => {
    expect(takes(Memory, text)).toBe(false)
  })

  test.each<readonly [string, z.ZodType, readonly string[], readonly string[]]>([
    [
      'a server’s name',
      ServerName,
      ['a', '5etools', 'legacy-wiki', 'a'.repeat(20)],
      ['', '-a', 'A', 'a_b', 'gateway', 'a/b', 'a\n', 'a'.repeat(21)],
    ],
    [
      'a prefix',
      Prefix,
      ['', 'a', '_5etools', 'my-wiki', 'A1'],
      ['_', 'a_', 'a__b', '5a', 'a.b', '-a', 'a\n', 'a'.repeat(22)],
    ],
    [
      'a path',
      HttpPath,
      ['/', '/mcp', '/mcp/', '/a.b/c?d=e&f=g', '/a..b'],
      ['', 'mcp', '//x', '/..', '/a/../b', '/a/./b', '/@x', '/a b', '/a\n', '/a\\b', '/#x', 'http://x/'],
    ],
    [
      'a url',
      OutsideUrl,
      ['http://wiki.lan:3000/mcp', 'https://[::1]/mcp?x=1', 'http://host.docker.internal:1/'],
      [
        '',
        'wiki',
        '//wiki',
        'ftp://wiki',
        'http://a:b@wiki',
        'http://a@wiki',
        'http://wiki/#x',
        'http://wi\nki/',
        'http:\\\\wiki',
        'javascript:1',
      ],
    ],
    [
      'an image',
      ImageRef,
      [`a@sha256:${'0f'.repeat(32)}`, `localhost:5000/a/b_c:1.0@sha256:${'0f'.repeat(32)}`],
      [
        '',
        'a',
        'a:1',
        'a@sha256:0f',
        `A@sha256:${'0f'.repeat(32)}`,
        `a@sha512:${'0f'.repeat(32)}`,
        `a@sha256:${'0F'.repeat(32)}`,
        `a b@sha256:${'0f'.repeat(32)}`,
      ],
    ],
    [
      'a container’s path',
      ContainerPath,
      ['/data', '/data/a-b_c.d', '/home/.cache'],
      [
        '',
        '/',
        'data',
        '/data/',
        '/a//b',
        '/a/..',
        '/./a',
        '/dev/shm',
        '/proc',
        '/run/docker.sock',
        '/a:b',
        '/a,b',
        '/a b',
        '/a\n',
      ],
    ],
    [
      'a volume',
      VolumeSpec,
      ['data:/data', '5e:/x/y'],
      [
        '',
        'data',
        ':/data',
        'data:',
        'data:data',
        '/data:/data',
        './a:/b',
        '~/a:/b',
        'a/b:/c',
        'data:/data:ro',
        'C:\\x:/y',
        'data:/',
      ],
    ],
  ])('is %s', (_, schema, right, wrong) => {
    expect([...right, ...wrong].filter((value) => takes(schema, value))).toEqual(right)
  })
})
