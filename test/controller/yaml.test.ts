import { describe, expect, test } from 'vitest'
import { type ReadOptions, readYaml } from '../../controller/compile/yaml.ts'
import { describeFault } from '../../controller/desired.ts'

const nowhere: ReadOptions = { verbatim: () => false, dollars: () => false }

function read(text: string | Buffer, options = nowhere) {
  return readYaml('a.yaml', Buffer.from(text), options)
}

describe('a YAML file', () => {
  test('gives plain values of YAML 1.2', () => {
    const { manifest, faults } = read('a: [1, yes, null, 1.5, "x", 0o10]\nb: { c: true }\n')
    expect(faults).toEqual([])
    expect(manifest?.value).toEqual({ a: [1, 'yes', null, 1.5, 'x', 8], b: { c: true } })
  })

  test('may begin with a byte order mark, which moves no column', () => {
    const { manifest } = read('\ufeffa: 1\n')
    expect(manifest?.value).toEqual({ a: 1 })
    expect(manifest?.fault(['a'], 'x')).toMatchObject({ line: 1, column: 4 })
  })

  test('may have Windows’ line ends', () => {
    const { manifest } = read('a: 1\r\nb: 2\r\n')
    expect(manifest?.value).toEqual({ a: 1, b: 2 })
    expect(manifest?.fault(['b'], 'x')).toMatchObject({ line: 2, column: 4 })
  })

  test('may be empty', () => {
    expect(read('# nothing\n').manifest?.value).toEqual({})
  })

  test('may use an anchor some times', () => {
    const { manifest, faults } = read('a: &x { b: 1 }\nc: *x\nd: [*x, *x]\n')
    expect(faults).toEqual([])
    expect(manifest?.value).toEqual({ a: { b: 1 }, c: { b: 1 }, d: [{ b: 1 }, { b: 1 }] })
  })

  test('keeps numbers as they are written where that is asked', () => {
    const { manifest } = read('a: 1.10\nb: 1.10\n', { ...nowhere, verbatim: ([first]) => first === 'a' })
    expect(manifest?.value).toEqual({ a: '1.10', b: 1.1 })
  })

  test('keeps keys that are numbers or truth values as they are written', () => {
    expect(read('007: a\ntrue: b\n').manifest?.value).toEqual({ '007': 'a', true: 'b' })
  })
})

describe('a fault', () => {
  const { manifest } = read('agents:\n  a-b:\n    servers: [x, y]\n    "c d": 1\n    empty:\n')

  test.each([
    [['agents', 'a-b', 'servers', 1], 'value', '3:18 agents.a-b.servers[1]'],
    [['agents', 'a-b', 'servers'], 'key', '3:5 agents.a-b.servers'],
    [['agents', 'a-b', 'c d'], 'value', '4:12 agents.a-b["c d"]'],
    [['agents', 'a-b', 'missing'], 'value', '2:3 agents.a-b.missing'],
    [['agents', 'a-b', 'empty'], 'value', '5:5 agents.a-b.empty'],
    [['nothing', 'at', 'all'], 'value', '1:1 nothing.at.all'],
  ] as const)('at %j, its %s, stands at %s', (path, on, place) => {
    expect(describeFault(manifest!.fault(path, 'x', on))).toBe(`a.yaml:${place}: x`)
  })

  test('of the syntax hides the rest of its file', () => {
    const { faults, manifest } = read('a: "b\nc: d: e\n')
    expect(faults).toHaveLength(1)
    expect(manifest).toBeUndefined()
  })

  test('of a value hides no other', () => {
    const { faults } = read('a: 1\na: 2\nb: "${X}"\nc: !x y\n')
    expect(faults.map(describeFault)).toEqual([
      'a.yaml:2:1 a: this key is here twice',
      'a.yaml:3:4 b: "${…}" is not filled in here: write the value, or name a secret under "secrets"',
      'a.yaml:4:7 c: tags have no meaning here, found "!x"',
    ])
  })
})
