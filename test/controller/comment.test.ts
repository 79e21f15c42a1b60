import { describe, expect, test } from 'vitest'
import { accessChanges } from '../../controller/forge/access.ts'
import { markerOf, planComment, staleComment } from '../../controller/forge/comment.ts'
import type { Preview } from '../../controller/forge/preview.ts'
import { agent, whole } from '../support/make.ts'

const subject = { of: 'gateway/owner/repository', branch: 'main', head: 'a'.repeat(40), base: 'b'.repeat(40) }

function valid(more: Partial<Extract<Preview, { kind: 'valid' }>> = {}): Preview {
  const nothing = {
    isSigned: false,
    gains: [],
    losses: [],
    escalations: [],
    loosens: [],
    removed: [],
    held: [],
    lacks: [],
    warnings: [],
  }
  return { kind: 'valid', plan: ['0 to build, 0 to replace, 0 to remove'], ...nothing, ...more }
}

describe('the comment of a pull request', () => {
  test('is a picture', () => {
    const preview = valid({
      gains: ['agent-b gains 5etools (all tools)'],
      losses: ['agent-a loses outline: read_document'],
    })
    expect(planComment(subject, preview)).toBe(`<!-- gateway-plan:gateway/owner/repository -->

**Valid**: \`aaaaaaaaaaaa\` merged into \`main\` at \`bbbbbbbbbbbb\` would be deployed.

**Who gains and loses what**

\`\`\`diff
+ agent-b gains 5etools (all tools)
- agent-a loses outline: read_document
\`\`\`

**Plan**

\`\`\`diff
0 to build, 0 to replace, 0 to remove
\`\`\``)
  })

  test('keeps what a stranger wrote inside its code', () => {
    const errors = ['```\n@root <img src=x> #1 ````` [x](http://x.invalid)', 'right\u202eleft\u200b\u0007', '-->']
    const text = planComment({ ...subject, branch: 'a`b``c' }, { kind: 'invalid', errors })
    const [, inside] = /\n``````diff\n(.*)\n``````$/s.exec(text) ?? []
    expect(inside).toBe(
      '```\\u{a}@root <img src=x> #1 ````` [x](http://x.invalid)\nright\\u{202e}left\\u{200b}\\u{7}\n-->',
    )
    expect(text).toContain('``` a`b``c ```')
  })

  test('has an end, and no fence that is not closed', () => {
    const lines = Array.from({ length: 20_000 }, (_, at) => `agent-${at} gains outline (all tools)`)
    const text = planComment(subject, valid({ gains: lines, plan: lines, warnings: lines, loosens: lines }))
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(60_000)
    expect(text.match(/^```/gm)?.length).toSatisfy((count: number) => count % 2 === 0)
    expect(text).toContain('more does not fit'.replace('more', 'More'))
  })

  test('says that it is old until there is a newer one, once', () => {
    const stale = staleComment(staleComment(planComment(subject, valid()), 'c'.repeat(40)), 'd'.repeat(40))
    expect(stale.startsWith(markerOf(subject.of))).toBe(true)
    expect(stale.match(/Out of date/g)).toHaveLength(1)
    expect(stale).toContain('is at `dddddddddddd` now')
    expect(stale).toContain('**Valid**')
  })

  test('cannot be made to end its marker early', () => {
    expect(markerOf('gateway/a-->b')).toBe('<!-- gateway-plan:gateway/a__b -->')
  })
})

describe('who gains and loses what', () => {
  const texts = (before: Parameters<typeof accessChanges>[0], after: typeof before, tools: readonly string[] = []) =>
    accessChanges(before, after, tools.length === 0 ? new Map() : new Map([['s', tools]])).map(({ text }) => text)
  const part = (...tools: string[]) => agent({ s: { tools, prompts: [], resources: [] } })

  test('names tools where they are known, and patterns where not', () => {
    expect(texts({}, { a: part('x', 'y*') })).toEqual(['a gains s: x, y*'])
    expect(texts({}, { a: part('x', 'y*') }, ['x', 'y1', 'y2', 'z'])).toEqual(['a gains s: x, y1, y2 (by y*)'])
    expect(texts({ a: part('x', 'y*') }, { a: part('x') }, ['x', 'y1'])).toEqual(['a loses s: y1 (by y*)'])
    expect(texts({ a: part('y*') }, { a: part('y1', 'n*') }, ['y1', 'y2'])).toEqual([
      'a gains s: n* (no tool now)',
      'a loses s: y2 (by y*)',
    ])
  })

  test('says whole servers as that, and prompts and resources apart', () => {
    expect(texts({}, { a: agent({ s: whole }) })).toEqual(['a gains s (all tools)'])
    expect(texts({ a: part('*') }, { a: agent({ s: whole }) })).toEqual(['a gains s: all prompts; all resources'])
    expect(texts({ a: agent({ s: whole }) }, { a: part('x') }, ['x', 'y'])).toEqual([
      'a loses s (all other tools, now: y)',
    ])
    expect(texts({ a: agent({ s: whole }) }, { a: agent({ s: whole }) })).toEqual([])
  })
})
