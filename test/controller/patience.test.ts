import { expect, test } from 'vitest'
import { type Failed, nextRetry, retryAt } from '../../controller/patience.ts'

const second = 1_000
const minute = 60 * second
const at = Date.UTC(2026, 0, 1)

const failed = (kind: Failed['kind'], attempts: number, spec = 'a'): Failed => ({ spec, kind, attempts, at })
const wait = (one: Failed) => (retryAt(one) ?? Number.NaN) - one.at

test.each<readonly [Failed['kind'], readonly number[]]>([
  ['build-transient', [second, 60 * minute, 60 * minute]],
  [
    'odd',
    [
      2 * second,
      10 * second,
      10 * minute,
      20 * minute,
      40 * minute,
      80 * minute,
      160 * minute,
      320 * minute,
      360 * minute,
      360 * minute,
    ],
  ],
  ['unhealthy', [10 * minute, 20 * minute, 40 * minute]],
])('%s is tried again, ever more slowly, each wait up to a fifth shorter', (kind, waits) => {
  for (const [index, most] of waits.entries()) {
    const one = wait(failed(kind, index + 1))
    expect(one).toBeGreaterThanOrEqual(most * 0.8)
    expect(one).toBeLessThanOrEqual(most)
  }
})

test.each<Failed>([
  failed('build', 1),
  failed('rolled-back', 1),
  failed('crash-loop', 1),
  failed('loop', 1),
  failed('refused', 1),
  failed('unhealthy', 4),
])('$kind after $attempts is left to its author', (one) => {
  expect(retryAt(one)).toBeUndefined()
})

test('what failed at once is not tried again at once, and a plan that is made again says the same time', () => {
  const specs = Array.from({ length: 100 }, (_, index) => `${index}`)
  const waits = specs.map((spec) => wait(failed('unhealthy', 1, spec)))
  expect(new Set(waits).size).toBeGreaterThan(95)
  expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(1.5 * minute)
  expect(specs.map((spec) => wait(failed('unhealthy', 1, spec)))).toEqual(waits)
  expect(wait(failed('unhealthy', 2))).not.toBe(2 * wait(failed('unhealthy', 1)))
})

test('the next try is that of the first that is still to come', () => {
  const all = [failed('unhealthy', 1), failed('odd', 1), failed('build', 1)]
  expect(nextRetry(all, at)).toBe(wait(failed('odd', 1)))
  expect(nextRetry(all, at + minute)).toBe(wait(failed('unhealthy', 1)) - minute)
  expect(nextRetry(all, at + 60 * minute)).toBeUndefined()
})
