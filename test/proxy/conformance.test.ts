import { beforeAll, describe, expect, test } from 'vitest'
import { type Run, required, runAll, type Shown } from '../support/conformance.ts'

/** What cannot be had when the two sides are of different eras, by scenario. */
type Lossy = Readonly<Record<string, readonly string[]>>

/** A legacy server has no keys for what it asks, and nothing to say which capability it lacks. */
const bridged: Lossy = {
  'input-required-result-basic-elicitation': ['sep-2322-elicitation-incomplete'],
  'server-stateless': ['sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400'],
}
/** The suite's older release tells the fixture itself so, in words of a version that has no such events. */
const older: Lossy = { 'server-sse-polling': ['server-sse-priming-event', 'server-sse-retry-field'] }

const stories: readonly (Run & { readonly title: string; readonly lossy?: Lossy })[] = [
  { title: 'the fixture itself', suite: '2025-11-25', fixture: 'both', through: 'nothing' },
  { title: 'the fixture itself', suite: '2026-07-28', fixture: 'both', through: 'nothing' },
  { title: '/mcp/<server>', suite: '2025-11-25', fixture: 'both', through: '/mcp/suite' },
  { title: '/mcp/<server>', suite: '2026-07-28', fixture: 'both', through: '/mcp/suite' },
  { title: '/mcp', suite: '2025-11-25', fixture: 'both', through: '/mcp' },
  { title: '/mcp', suite: '2026-07-28', fixture: 'both', through: '/mcp' },
  { title: '/mcp/<server> of a modern server', suite: '2025-11-25', fixture: 'modern', through: '/mcp/suite' },
  { title: '/mcp of a modern server', suite: '2025-11-25', fixture: 'modern', through: '/mcp' },
  {
    title: '/mcp/<server> of a legacy server',
    suite: '2026-07-28',
    fixture: 'legacy',
    through: '/mcp/suite',
    lossy: bridged,
  },
  { title: '/mcp of a legacy server', suite: '2026-07-28', fixture: 'legacy', through: '/mcp', lossy: bridged },
  { title: '/mcp/<server>', suite: '0.1.16', fixture: 'both', through: '/mcp/suite', lossy: older },
  { title: '/mcp', suite: '0.1.16', fixture: 'both', through: '/mcp' },
]

let shown: ReadonlyMap<Run, Shown>
beforeAll(async () => {
  shown = await runAll(stories)
}, 300_000)

test('the suites count as many scenarios as they are known to', () => {
  expect((['2025-11-25', '2026-07-28', '0.1.16'] as const).map((suite) => required(suite).length)).toEqual([30, 37, 32])
})

describe.each(stories)('$suite at $title', (story) => {
  test.each(required(story.suite))('%s', (scenario) => {
    const found = shown.get(story)?.get(scenario) ?? ['was not run']
    expect(found, found.join('; ')).toEqual((story.lossy?.[scenario] ?? []).map((id) => expect.stringContaining(id)))
  })
})
