import { describe, expect, test } from 'vitest'
import { matches } from '#manifests/glob.ts'
import { decodeHeader, encodeHeader } from '../../proxy/envelope.ts'
import { jointName, originals } from '../../proxy/names.ts'
import { elements, members, splice } from '../../proxy/splice.ts'

describe('patterns of grants', () => {
  test.each([
    ['*', '', true],
    ['*', 'anything', true],
    ['search_*', 'search_wiki', true],
    ['search_*', 'search', false],
    ['*_wiki', 'search_wiki', true],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'a1c2b', false],
    ['a*a', 'a', false],
    ['exact', 'exact', true],
    ['exact', 'Exact', false],
    ['a.c', 'abc', false],
    ['[a-z]', 'b', false],
    ['', '', true],
    ['', 'x', false],
  ])('%j on %j is %j', (pattern, name, expected) => {
    expect(matches(pattern, name)).toBe(expected)
  })

  test('a pattern of many stars is quick', () => {
    expect(matches(`${'*a'.repeat(200)}*b`, 'a'.repeat(20_000))).toBe(false)
  })
})

describe('joint names', () => {
  test.each([
    ['wiki', 'search', 'wiki__search'],
    ['', 'search', 'search'],
    ['_5etools', 'look-up', '_5etools__look-up'],
  ])('%j and %j are %j', (prefix, tool, name) => {
    expect(jointName(prefix, tool)).toBe(name)
  })

  test('change what model APIs do not take, and stay apart', () => {
    const names = ['a.b', 'a/b', 'a b', 'a_b'].map((tool) => jointName('s', tool))
    expect(new Set(names).size).toBe(4)
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]+$/)
    expect(names[0]).toMatch(/^s__a_b_[0-9a-f]{6}$/)
  })

  test('are at most 48 long, 64 with a long prefix', () => {
    expect(jointName('s', 'x'.repeat(45))).toHaveLength(48)
    expect(jointName('s', 'x'.repeat(46))).toMatch(/^s__x{38}_[0-9a-f]{6}$/)
    expect(jointName('p'.repeat(48), 'x'.repeat(100))).toHaveLength(64)
  })

  test('lead back to what they stand for', () => {
    const tools = ['plain', 'dotted.name', 'x'.repeat(100)]
    const back = originals('s', tools)
    expect(tools.map((tool) => back.get(jointName('s', tool)))).toEqual(tools)
  })
})

describe('splicing', () => {
  const text = ' { "a" : 1e3 , "b":"}\\",\\\\", "c":[1,{"d":"]"},[]] , "\\u0061":null,"e":{} } '

  test('finds every member, doubles and escapes included', () => {
    expect(members(text).map(({ key, at, to }) => [key, text.slice(at, to)])).toEqual([
      ['a', '1e3'],
      ['b', '"}\\",\\\\"'],
      ['c', '[1,{"d":"]"},[]]'],
      ['a', 'null'],
      ['e', '{}'],
    ])
  })

  test('finds the elements of a list', () => {
    expect(elements('[ 1 , "a,b" , [2,3], {"x":[4]} ]')).toEqual(['1', '"a,b"', '[2,3]', '{"x":[4]}'])
    expect(elements('[]')).toEqual([])
    expect(members('{}')).toEqual([])
  })

  test('leaves all else as it was written', () => {
    const number = '{"id":1,"big":12345678901234567890,"n":1.0}'
    const [id] = members(number)
    expect(splice(number, [{ from: id?.at ?? 0, to: id?.to ?? 0, text: '"x"' }])).toBe(
      '{"id":"x","big":12345678901234567890,"n":1.0}',
    )
  })
})

describe('header values', () => {
  test.each(['plain', 'with space', 'schön', ' lead', 'a\r\nb', '', '=?base64?x?='])(
    '%j comes back as it went',
    (value) => {
      expect(encodeHeader(value)).toMatch(/^[\x20-\x7e]+$/)
      expect(decodeHeader(encodeHeader(value))).toBe(value)
    },
  )

  test.each(['=?base64?YQ?=', '=?base64?Y Q==?=', '=?base64?_w==?=', '=?base64?/w==?='])(
    '%j is not exact',
    (header) => {
      expect(decodeHeader(header)).toBeUndefined()
    },
  )
})
