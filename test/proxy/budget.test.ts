import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pack } from '#manifests/packed-table.ts'
import type { Budget, Table } from '#manifests/table.ts'
import { createBudgets } from '../../proxy/budget.ts'
import { openBudgetStore, periodOf } from '../../proxy/budget-store.ts'
import { readBody } from '../../proxy/message.ts'
import { Refusal } from '../../proxy/refusal.ts'
import type { Spending } from '../../proxy/spending.ts'
import { indexTable } from '../../proxy/table.ts'
import { rpc, serverAt } from '../support/proxy.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'budget-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const tableOf = (budgets: Readonly<Record<string, Budget>>): Table => ({
  revision: 1,
  grantsFile: '',
  agents: {},
  servers: { s: serverAt('s', 'http://127.0.0.1:1', { budgets: { ...budgets } }), free: serverAt('free', undefined) },
  starting: [],
  draining: [],
})

const day = (calls: number, tools = ['paint']): Budget => ({ calls, per: 'day', tools })

/** Budgets of one proxy, on a clock that the test sets. */
function open(budgets: Readonly<Record<string, Budget>>, at = '2030-01-02T03:04:05Z') {
  const store = openBudgetStore(join(folder, 'state.db'))
  let now = Date.parse(at)
  let changes = 0
  const made = createBudgets(
    store,
    () => changes++,
    () => now,
  )
  const use = (next: Readonly<Record<string, Budget>>) => made.review(indexTable(pack(tableOf(next))))
  use(budgets)
  const reserve = (...tools: readonly string[]) => {
    const calls = tools.map((name, index) => rpc('tools/call', { name }, index))
    return made.reserve('s', readBody(Buffer.from(JSON.stringify(calls))).messages)
  }
  return {
    made,
    use,
    reserve,
    set: (next: string) => {
      now = Date.parse(next)
    },
    changes: () => changes,
    /** Sends the calls, of which nobody hears again. */
    spend: (...tools: readonly string[]) => {
      using spending = reserve(...tools)
      spending?.sent()
    },
    left: (name: string) => {
      const use = made.uses()?.s?.[name]
      return use && use.calls - use.used
    },
    [Symbol.dispose]: () => store[Symbol.dispose](),
  }
}

type Step = (call: Spending | undefined) => void
const sent: Step = (call) => call?.sent()
const status =
  (code: number): Step =>
  (call) =>
    call?.status(code)
const answer =
  (result: Readonly<Record<string, unknown>>, error = false): Step =>
  (call) =>
    call?.answered('0', { error, result })

function words(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
  return 'was not refused'
}

test.each([
  ['minute', '2030-01-02T03:04:59Z', '2030-01-02T03:04:00Z', '2030-01-02T03:05:00Z'],
  ['hour', '2030-01-02T03:59:59Z', '2030-01-02T03:00:00Z', '2030-01-02T04:00:00Z'],
  ['day', '2030-12-31T23:59:59Z', '2030-12-31T00:00:00Z', '2031-01-01T00:00:00Z'],
] as const)('a %s begins with a whole one in UTC', (per, at, from, to) => {
  const minutes = (iso: string) => Math.floor(Date.parse(iso) / 60_000)
  expect(periodOf(per, minutes(at))).toEqual({ from: minutes(from), to: minutes(to) })
})

describe('a budget', () => {
  test('refuses the call after the last, with the time at which it comes back, and gives it anew then', () => {
    using one = open({ paint: day(2) })
    one.spend('paint')
    one.spend('paint')
    expect(words(() => one.spend('paint'))).toBe(
      'The budget "paint" of s is used up: 2 calls per day, shared by all agents; it comes back at 2030-01-03T00:00:00Z',
    )
    one.set('2030-01-02T23:59:59Z')
    expect(words(() => one.spend('paint'))).toContain('comes back at 2030-01-03')
    one.set('2030-01-03T00:00:00Z')
    one.spend('paint')
    expect(one.left('paint')).toBe(1)
  })

  test('is shared by its tools, and counts no other', () => {
    using one = open({ images: day(2, ['paint', 'vary']) })
    one.spend('paint')
    one.spend('vary')
    expect(words(() => one.spend('vary'))).toContain('The budget "images"')
    expect(one.reserve('look')).toBeUndefined()
    expect(one.made.reserve('free', [])).toBeUndefined()
  })

  test('of several on one tool, names the one that has to be waited for longest', () => {
    using one = open({ paint: { calls: 1, per: 'minute', tools: ['paint'] }, daily: day(2) })
    one.spend('paint')
    expect(words(() => one.spend('paint'))).toContain('comes back at 2030-01-02T03:05:00Z')
    one.set('2030-01-02T03:05:00Z')
    one.spend('paint')
    expect(words(() => one.spend('paint'))).toContain('The budget "daily"')
    expect(one.left('daily')).toBe(0)
  })

  test('takes all calls of a batch or none', () => {
    using one = open({ paint: day(2) })
    expect(words(() => one.spend('paint', 'look', 'paint', 'paint'))).toContain('used up')
    expect(one.left('paint')).toBe(2)
    one.spend('paint', 'paint')
    expect(one.left('paint')).toBe(0)
  })

  test.each<readonly [string, readonly Step[], number]>([
    ['was never sent', [], 1],
    ['got an error', [sent, answer({}, true)], 1],
    ['got isError', [sent, answer({ isError: true })], 1],
    ['was refused by HTTP', [sent, status(404)], 1],
    ['needs input', [sent, answer({ resultType: 'input_required' })], 1],
    ['got a result', [sent, answer({})], 0],
    ['got no answer', [sent], 0],
    ['met a fault', [sent, status(502)], 0],
    ['got its result and then a fault', [sent, answer({}), status(404)], 0],
    ['was sent again after it was not taken', [sent, status(404), sent], 0],
    ['was done after more input', [sent, answer({ resultType: 'input_required' }), sent, answer({})], 0],
  ])('has for a call that %s as many left', (_, steps, left) => {
    using one = open({ paint: day(1) })
    {
      using spending = one.reserve('paint')
      for (const step of steps) step(spending)
    }
    expect(one.left('paint')).toBe(left)
  })

  test('goes on from what was taken when it gets another limit, time, name or list of tools', () => {
    using one = open({ paint: { calls: 3, per: 'hour', tools: ['paint'] } })
    one.spend('paint', 'paint')
    one.set('2030-01-02T04:00:00Z')
    one.spend('paint')
    one.use({ paint: day(4) })
    expect(one.left('paint')).toBe(1)
    one.use({ images: day(5, ['vary', 'paint']) })
    expect(one.left('images')).toBe(2)
    one.use({})
    one.use({ paint: { calls: 1, per: 'hour', tools: ['paint'] } })
    expect(words(() => one.spend('paint'))).toContain('1 call per hour')
  })

  test('gives nothing twice when the clock jumps', () => {
    using one = open({ paint: day(2) })
    one.spend('paint', 'paint')
    one.set('2031-05-06T00:00:00Z')
    one.spend('paint')
    one.set('2030-01-02T03:00:00Z')
    expect(words(() => one.spend('paint'))).toContain('2030-01-03')
    one.set('2030-01-01T23:59:00Z')
    one.spend('paint')
    one.set('2031-05-06T12:00:00Z')
    one.spend('paint')
    expect(words(() => one.spend('paint'))).toContain('2031-05-07')
  })

  test('gives a call back to the day that it was taken from', () => {
    using one = open({ paint: day(1) }, '2030-01-02T23:59:59Z')
    {
      using spending = one.reserve('paint')
      spending?.sent()
      one.set('2030-01-03T00:00:01Z')
      one.spend('paint')
      spending?.answered('0', { error: true, result: {} })
    }
    expect(one.left('paint')).toBe(0)
    one.set('2030-01-02T23:59:59Z')
    expect(one.left('paint')).toBe(1)
  })

  test('outlives its proxy, and is counted together by two', () => {
    {
      using first = open({ paint: day(3) })
      using second = open({ paint: day(3) })
      first.spend('paint')
      second.spend('paint')
      expect([first.left('paint'), second.left('paint')]).toEqual([1, 1])
    }
    using third = open({ paint: day(3) })
    expect(third.left('paint')).toBe(1)
  })

  test('that cannot be counted lets no call pass', () => {
    const one = open({ paint: day(3) })
    one[Symbol.dispose]()
    expect(words(() => one.spend('paint'))).toBe('Nothing was sent to s: its budgets cannot be counted now; try again')
    expect(one.made.uses()).toBeUndefined()
  })

  test('forgets the oldest minutes of a tool when it has very many', () => {
    {
      using one = open({ paint: { calls: 1, per: 'minute', tools: ['paint'] } })
      const start = Date.parse('2030-01-01T00:00:00Z')
      for (let minute = 0; minute < 7 * 24 * 60 + 3; minute++) {
        one.set(new Date(start + minute * 60_000).toISOString())
        one.spend('paint')
      }
    }
    using one = open({ paint: day(2000) })
    one.set('2030-01-01T12:00:00Z')
    expect(one.left('paint')).toBe(2000 - 24 * 60 + 3)
  })
})
