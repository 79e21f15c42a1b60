import { describe, expect, test } from 'vitest'
import { readDockerignore } from '../../controller/compile/dockerignore.ts'

const cases: readonly (readonly [patterns: string, out: readonly string[], left: readonly string[]])[] = [
  ['a', ['a', 'a/b', 'a/b/c'], ['b/a', 'ab']],
  ['/a', ['a', 'a/b'], ['b/a']],
  ['a/', ['a', 'a/b'], ['b/a']],
  ['./a/../b', ['b', 'b/c'], ['a']],
  ['*', ['a', 'a/b', '.git'], []],
  ['*.md', ['a.md'], ['b/a.md', 'a.mdx']],
  ['*/a', ['b/a', 'b/a/c'], ['a', 'b/c/a']],
  ['**/a', ['a', 'b/a', 'b/c/a', 'b/a/d'], ['ba', 'b/ca']],
  ['**/*.md', ['a.md', 'b/a.md', 'b/c/a.md'], ['a.txt']],
  ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a']],
  ['a/**/b', ['a/b', 'a/c/b', 'a/c/d/b'], ['a', 'ab', 'a/cb']],
  ['**', ['a', 'a/b'], []],
  ['a?c', ['abc'], ['a/c', 'ac']],
  ['[a-c].ts', ['a.ts', 'c.ts'], ['d.ts']],
  ['[^a].ts', ['b.ts'], ['a.ts']],
  ['a\\*', ['a*'], ['ab']],
  ['a.b', ['a.b'], ['axb']],
  ['a+(b)', ['a+(b)'], ['aab']],
  ['*\n!a', ['b'], ['a', 'a/b']],
  ['*.md\n!README*.md\nREADME-secret.md', ['a.md', 'README-secret.md'], ['README.md', 'README-x.md']],
  ['*.md\nREADME-secret.md\n!README*.md', ['a.md'], ['README-secret.md']],
  ['a\n!a/b\na/b/c', ['a/x', 'a/b/c'], ['a/b/d']],
  ['# a\n\n  b  \n', ['b'], ['a', '# a']],
  ['\ufeffa\r\nb\r\n', ['a', 'b'], []],
  ['! a\nb', ['b'], ['a']],
  ['.', [], ['a']],
]

describe('a .dockerignore', () => {
  test.each(cases)('%j leaves out %j and leaves %j', (patterns, out, left) => {
    const isLeftOut = readDockerignore(patterns)
    expect([...out, ...left].filter(isLeftOut)).toEqual(out)
  })

  test('is refused with a lone ! or an open range, with its line', () => {
    expect(() => readDockerignore('a\n!\n')).toThrow(expect.objectContaining({ line: 2 }))
    expect(() => readDockerignore('a\n\nb[\n')).toThrow(expect.objectContaining({ line: 3 }))
    expect(() => readDockerignore('[z-a]\n')).toThrow(expect.objectContaining({ line: 1 }))
  })

  test('that would send a regular expression astray ends', () => {
    const isLeftOut = readDockerignore(`${'**/a*'.repeat(40)}/x`)
    expect(isLeftOut(`${'a'.repeat(60)}/`.repeat(60))).toBe(false)
  })
})
